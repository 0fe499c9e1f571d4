"""Tables as plain text, and drawn on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from .layout import Entry, Sheet

if TYPE_CHECKING:
    from rich.console import Console


def write(blocks: Sequence[Sheet]) -> str:
    """Aligned columns; a star marks the best."""
    return "\n\n".join(_write_block(block) for block in blocks)


def _write_block(block: Sheet) -> str:
    table = [[_starred(entry) for entry in row] for row in block.rows]
    widths = [max(map(len, column)) for column in zip(block.header, *table)]
    lines = [", ".join(block.title)] if block.title else []
    if block.groups:
        lines.append(_group_line(block, widths))
    lines += [_line(block.header, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join(lines + [_line(row, widths) for row in table])


def _group_line(block: Sheet, widths: list[int]) -> str:
    """The heads of the groups, each over its first column; one that is too long widens its last column."""
    size = block.group_size
    line = " " * (sum(widths[: block.n_labels]) + 2 * block.n_labels)
    for number, head in enumerate(block.groups):
        first = block.n_labels + number * size
        room = sum(widths[first : first + size]) + 2 * (size - 1)
        widths[first + size - 1] += max(len(head) - room, 0)
        line += head.ljust(max(room, len(head)) + 2)
    return line.rstrip()


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(word.ljust(width) for word, width in zip(words, widths)).rstrip()


def _starred(entry: Entry) -> str:
    return f"{entry.text}*" if entry.is_best else entry.text


def show(blocks: Sequence[Sheet], file: TextIO | None = None) -> None:
    """Print drawn tables on a terminal, plain text elsewhere."""
    out = file or sys.stdout
    if not out.isatty():
        print(write(blocks), file=out)
        return
    from rich.console import Console

    console = Console(file=out)
    for block in blocks:
        draw(block, console)


def draw(block: Sheet, console: Console) -> None:
    """One block on a terminal, the best in bold."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(", ".join(block.title), style="bold") if block.title else None
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(block.header):
        place = index - block.n_labels
        starts = block.groups and place >= 0 and place % block.group_size == 0
        over = block.groups[place // block.group_size] if starts else ""
        drawn.add_column(Text(f"{over}\n{head}" if block.groups else head))
    for row in block.rows:
        drawn.add_row(*(Text(entry.text, style="bold green" if entry.is_best else "") for entry in row))
    console.print(drawn)
