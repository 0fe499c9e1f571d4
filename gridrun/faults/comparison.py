"""Two campaigns over the same faults, such as one's own and a published one: how far apart are their counts?"""

from __future__ import annotations

from typing import NamedTuple

from .fault_list import FaultList
from .verdicts import Counts
from .weight_fault import WeightFault


class Row(NamedTuple):
    """One fault in both campaigns."""

    fault: WeightFault
    ours: Counts
    theirs: Counts

    @property
    def difference(self) -> int:
        """Critical images, ours minus theirs."""
        return self.ours.critical - self.theirs.critical

    @property
    def is_comparable(self) -> bool:
        """Whether both ran as many images."""
        return self.ours.n_injections == self.theirs.n_injections


class Comparison(NamedTuple):
    """Faults of both lists in the order of ours, and those of one list alone."""

    rows: list[Row]
    only_ours: list[WeightFault]
    only_theirs: list[WeightFault]

    def beyond(self, within: int) -> list[Row]:
        """Rows whose critical counts differ by more than `within`, or that cannot be compared."""
        return [row for row in self.rows if abs(row.difference) > within or not row.is_comparable]

    def agrees(self, within: int) -> bool:
        """Whether there is something to compare, all of ours is in theirs, and no row is beyond `within`."""
        return bool(self.rows) and not self.only_ours and not self.beyond(within)

    def worst(self) -> int:
        """The largest difference of critical counts; 0 without rows."""
        return max((abs(row.difference) for row in self.rows), default=0)

    def n_equal(self, verdict: str) -> int:
        """Rows whose counts of a verdict ("masked", "non_critical", "critical") are equal."""
        return sum(getattr(row.ours, verdict) == getattr(row.theirs, verdict) for row in self.rows)


def compare(ours: FaultList, theirs: FaultList) -> Comparison:
    """Match two campaigns fault by fault. ValueError if one of them has no counts.

    Critical counts hardly depend on the arithmetic. Masked ones do: reduced precision leaves many
    faults without any effect, so judge by `critical`.

    >>> fault = WeightFault("linear", (7, 36), 30)
    >>> found = compare(FaultList([fault], [Counts(9, 0, 1, 8)], [0]), FaultList([fault], [Counts(9, 0, 2, 7)], [0]))
    >>> found.rows[0].difference, found.agrees(within=0), found.agrees(within=1)
    (1, False, True)
    """
    for name, each in (("ours", ours), ("theirs", theirs)):
        if each.counts is None:
            raise ValueError(f"{name}: no results, but faults alone")
    mine = dict(zip(ours.faults, ours.counts or [], strict=True))
    published = dict(zip(theirs.faults, theirs.counts or [], strict=True))
    return Comparison(
        [Row(fault, counts, published[fault]) for fault, counts in mine.items() if fault in published],
        [fault for fault in mine if fault not in published],
        [fault for fault in published if fault not in mine],
    )
