"""The rows of a table as data: one row a place, or one row a number."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..template import get
from .axes import Label
from .cells import Cell, make_cell

if TYPE_CHECKING:
    from .core import Table

Rows = tuple[list[str], list[list[Any]]]


def records(table: Table) -> Rows:
    """Header and rows, one row a place; std and n stand after a mean where any place holds several numbers.

    >>> from gridrun.table import Table
    >>> records(Table([{"p": 0, "acc": [0.5, 0.75]}, {"p": 1, "acc": [0.5]}], "p", "acc"))[1]
    [[0, 0.625, 0.1767766952966369, 2], [1, 0.5, None, 1]]
    """
    cells = {name: [table.cell(place, name) for place in table.places()] for name in table.dependents}
    several = {name: any(len(cell.numbers) > 1 for cell in column) for name, column in cells.items()}
    header = [axis.label for axis in table.axes]
    for name in table.dependents:
        label = table.label(name)
        header += [label, f"{label} std", f"{label} n"] if several[name] else [label]
    _check_distinct(header)
    rows = []
    for number, place in enumerate(table.places()):
        row = shown(table, place)
        for name, column in cells.items():
            row += _entries(column[number], several[name])
        rows.append(row)
    return header, rows


def samples(table: Table) -> Rows:
    """Header and rows, one row a number that a point holds."""
    header = [axis.label for axis in table.axes] + [table.label(name) for name in table.dependents]
    _check_distinct(header)
    rows = []
    for place in table.places():
        for point in table.members(place):
            columns = [make_cell([get(point, name, None)]).numbers for name in table.dependents]
            rows += [[*shown(table, place), *numbers] for numbers in _side_by_side(columns, table.dependents)]
    return header, rows


def write_csv(table: Table) -> str:
    """`records` as comma-separated text."""
    header, rows = records(table)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


def shown(table: Table, place: Sequence[int]) -> list[Any]:
    """A place by its labels where there are labels, else by the values themselves."""
    pairs = [(axis.labels[i], axis.values[i]) for axis, i in zip(table.axes, place)]
    return [str(label) if isinstance(label, Label) else value for label, value in pairs]


def _entries(cell: Cell, several: bool) -> list[Any]:
    if several:
        mean, std = (cell.mean, cell.std) if cell.numbers else (None, None)
        return [mean, std if len(cell.numbers) > 1 else None, len(cell.numbers)]
    if len(cell.values) <= 1:
        return [cell.values[0] if cell.values else None]
    return ["; ".join(map(str, cell.values))]


def _side_by_side(columns: Sequence[Sequence[float]], names: Sequence[str]) -> Iterator[tuple[float, ...]]:
    lengths = {name: len(column) for name, column in zip(names, columns)}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"samples() puts dependent keys side by side, but one point holds {lengths} numbers")
    return zip(*columns)


def _check_distinct(header: Sequence[str]) -> None:
    for one, other in itertools.combinations(header, 2):
        if one == other:
            raise UsageError(f"two columns of the table are called {one!r}; give one of them another label")
