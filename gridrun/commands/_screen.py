"""Rows on the screen: a table drawn by rich on a terminal, plain columns where piped, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

FORMATS = click.Choice(["table", "csv", "json"])
COLOURS = {
    "done": "green", "cached": "green", "ok": "green",
    "running": "cyan", "pending": "blue", "stale": "yellow", "missing": "yellow", "cancelled": "yellow",
    "failed": "red", "lost": "red", "damaged": "red", "problem": "red",
}  # fmt: skip

Row = Mapping[str, Any]
ID_DIGITS = 8  # of an id in a table: as many as tell results apart, as git does


def show_rows(rows: Sequence[Row], form: str = "table", columns: Sequence[str] | None = None) -> None:
    """Print rows, one dict each; `columns` gives their order (by default as the rows have them)."""
    columns = list(columns or used(rows))
    if form == "json":
        click.echo(json.dumps([{c: plain(row.get(c)) for c in columns} for row in rows], indent=2))
    elif form == "csv":
        click.echo(as_csv(rows, columns), nl=False)
    elif rows and sys.stdout.isatty():
        _draw(rows, columns)
    elif rows:
        click.echo(as_text(rows, columns))


def used(rows: Sequence[Row]) -> list[str]:
    """The columns that some row fills.

    >>> used([{"id": "", "seed": 0}, {"id": "", "level": 0.1}])
    ['seed', 'level']
    """
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if any(row.get(key) not in (None, "") for row in rows)]


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Rows as CSV with a header; what a row lacks is empty.

    >>> print(as_csv([{"seed": 0, "acc": 0.5}, {"seed": 1}], ["seed", "acc"]), end="")
    seed,acc
    0,0.5
    1,
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([plain(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def as_text(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Rows in aligned columns, numbers to the right.

    >>> print(as_text([{"name": "a", "points": 15}, {"name": "bends", "points": 3}], ["name", "points"]))
    name   points
    a          15
    bends       3
    """
    cells = [list(columns)] + [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [_is_numeric(rows, column) for column in columns]
    lines = ["  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def cell(value: Any, longest: int = 1000) -> str:
    """A value in as few letters as it needs, cut if it is longer than `longest`.

    >>> cell(0.123456789), cell(None), cell([1, 2]), cell("two words")
    ('0.1235', '', '[1, 2]', 'two words')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else str(plain(value))
    return text if len(text) <= longest else text[: longest - 3] + "..."


def plain(value: Any) -> Any:
    """What JSON can hold: plain values as they are, containers of them, anything else as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return plain(value.item()) if getattr(value, "shape", None) == () else str(value)


def coloured(state: str) -> str:
    """A state in its colour; click drops it where the output is no terminal."""
    return click.style(state, fg=COLOURS.get(state))


def _is_numeric(rows: Sequence[Row], column: str) -> bool:
    values = [row[column] for row in rows if row.get(column) is not None]
    return bool(values) and all(isinstance(value, (int, float)) for value in values)


def _draw(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console

    Console().print(table_of(rows, columns))


def table_of(rows: Sequence[Row], columns: Sequence[str] | None = None) -> Any:
    """Rows as a table for rich, states in their colours."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    columns = list(columns or used(rows))
    for column in columns:
        table.add_column(column, justify="right" if _is_numeric(rows, column) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(c)), style=_style(c, row.get(c))) for c in columns))
    return table


def _style(column: str, value: Any) -> str:
    """The colour of a state, or of a count of points in that state; a count of none is dim."""
    if isinstance(value, str):
        return COLOURS.get(value, "")
    if column in COLOURS:
        return COLOURS[column] if value else "dim"
    return ""
