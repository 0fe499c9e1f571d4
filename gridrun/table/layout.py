"""How the places of a table lie on paper: blocks, column groups and rows, ready for any format."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from .cells import Cell, Pick, best, find_pick, write_cell

if TYPE_CHECKING:
    from .core import Bold, Place, Table

    Entries = dict[tuple[Place, str], "Entry"]


@dataclass(frozen=True)
class Entry:
    """One cell as text."""

    text: str
    is_best: bool = False
    is_number: bool = False


@dataclass(frozen=True)
class Sheet:
    """One block: a title, the heads of its column groups, its header and rows.

    The first `n_labels` columns label the rows. The others form the groups, each of as many columns; without
    groups the header alone heads them.
    """

    title: tuple[str, ...]
    groups: tuple[str, ...]
    n_labels: int
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]

    @property
    def group_size(self) -> int:
        """How many columns a group has."""
        return (len(self.header) - self.n_labels) // max(len(self.groups), 1)


def sheets(
    table: Table,
    wide: bool,
    decimals: int = 2,
    spread: bool = True,
    bold: Bold = None,
    compare: str | int | None = None,
) -> list[Sheet]:
    """The blocks of a table. wide: the values of the compared axis side by side; else one row a place."""
    across = compare if isinstance(compare, int) else table.axis(compare)
    entries = _write_all(table, across, decimals, spread, bold)
    if not wide or len(table.axes) < 2:
        return [_tidy(table, entries)]
    down = max(axis for axis in range(len(table.axes)) if axis != across)
    blocks = [axis for axis in range(len(table.axes)) if axis not in (across, down)]
    found = sorted({tuple(place[axis] for axis in blocks) for place in table.places()})
    return [_block(table, entries, dict(zip(blocks, block)), across, down) for block in found]


def _tidy(table: Table, entries: Entries) -> Sheet:
    rows = []
    for place in table.places():
        labels = [Entry(axis.labels[index]) for axis, index in zip(table.axes, place)]
        rows.append((*labels, *(entries[place, name] for name in table.dependents)))
    header = (*(axis.label for axis in table.axes), *map(table.label, table.dependents))
    return Sheet((), (), len(table.axes), header, tuple(rows))


def _block(table: Table, entries: Entries, fixed: dict[int, int], across: int, down: int) -> Sheet:
    """One block: only the columns and rows in which it has anything."""
    inside = [place for place in table.places() if all(place[axis] == i for axis, i in fixed.items())]
    columns = sorted({place[across] for place in inside})
    rows = []
    for row in sorted({place[down] for place in inside}):
        line = [Entry(table.axes[down].labels[row])]
        for column, name in itertools.product(columns, table.dependents):
            index = {**fixed, across: column, down: row}
            place = tuple(index[axis] for axis in range(len(table.axes)))
            line.append(entries.get((place, name), Entry("")))
        rows.append(tuple(line))
    title = tuple(label for axis, i in fixed.items() if (label := table.axes[axis].labels[i]))
    heads = tuple(table.axes[across].labels[column] for column in columns)
    names = tuple(map(table.label, table.dependents))
    side = table.axes[down].label
    if not any(heads):  # an axis without a name and values, put there to fill up a table
        return Sheet(title, (), 1, (side, *(names * len(columns))), tuple(rows))
    if len(names) == 1:  # the columns are the methods, so the title says what is measured
        return Sheet((*title, *names), (), 1, (side, *heads), tuple(rows))
    return Sheet(title, heads, 1, (side, *(names * len(columns))), tuple(rows))


def _write_all(table: Table, across: int, decimals: int, spread: bool, bold: Bold) -> Entries:
    """Every cell as text, the best of those that differ only in the compared axis marked."""
    entries: Entries = {}
    for name, pick in zip(table.dependents, _picks(table, bold)):
        cells = {place: table.cell(place, name) for place in table.places()}
        for group in _rivals(cells, across):
            rivals = [cells[place] for place in group]
            flags = best(rivals, pick, decimals) if pick and len(rivals) > 1 else [False] * len(rivals)
            for place, cell, flag in zip(group, rivals, flags):
                entries[place, name] = Entry(write_cell(cell, decimals, spread), flag, bool(cell.numbers))
    return entries


def _rivals(cells: dict[Place, Cell], across: int) -> list[list[Place]]:
    groups: dict[Place, list[Place]] = {}
    for place in cells:
        groups.setdefault(place[:across] + place[across + 1 :], []).append(place)
    return list(groups.values())


def _picks(table: Table, bold: Bold) -> list[Pick | None]:
    if bold is None or isinstance(bold, str) or callable(bold):
        return [find_pick(bold)] * len(table.dependents)
    if len(bold) != len(table.dependents):
        names = ", ".join(table.dependents)
        raise UsageError(f"bold takes one entry for each dependent key ({names}), but it has {len(bold)}")
    return [find_pick(one) for one in bold]
