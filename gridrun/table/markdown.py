"""Tables in Markdown (the GitHub dialect)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .layout import Entry, Sheet

SPECIAL = re.compile(r"([\\`*_\[\]<>|~$])")


def write(blocks: Sequence[Sheet]) -> str:
    """One table a block, its title above it. Markdown has one header row: group and column share a head."""
    return "\n\n".join(_write_block(block) for block in blocks)


def _write_block(block: Sheet) -> str:
    heads = [escape(head) for head in block.header]
    for index in range(len(block.groups) * block.group_size):
        group = escape(block.groups[index // block.group_size])
        heads[block.n_labels + index] = f"{group}: {heads[block.n_labels + index]}"
    lines = [f"**{escape(', '.join(block.title))}**", ""] if block.title else []
    rule = ["---"] * block.n_labels + ["---:"] * (len(heads) - block.n_labels)
    return "\n".join(lines + [_line(heads), _line(rule)] + [_line(map(_cell, row)) for row in block.rows])


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is, inside a table too.

    >>> print(escape("a|b_c *d*\n<e>"))
    a\|b\_c \*d\* \<e\>
    """
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _cell(entry: Entry) -> str:
    text = entry.text if entry.is_number else escape(entry.text)
    return f"**{text}**" if entry.is_best else text


def _line(words: Iterable[str]) -> str:
    return "| " + " | ".join(words) + " |"
