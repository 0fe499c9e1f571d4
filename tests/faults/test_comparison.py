"""Two campaigns fault by fault."""

from __future__ import annotations

import pytest

from gridrun.faults.comparison import compare
from gridrun.faults.fault_list import FaultList
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault

FAULTS = [WeightFault("fc", (0, i), 30) for i in range(4)]


def campaign(faults: list[WeightFault], critical: list[int], n: int = 100) -> FaultList:
    return FaultList(faults, [Counts(n, 0, n - c, c) for c in critical], list(range(len(faults))))


def test_differences_by_hand_whatever_the_order() -> None:
    found = compare(campaign(FAULTS, [5, 0, 90, 7]), campaign(FAULTS[::-1], [7, 92, 3, 5]))
    assert [row.difference for row in found.rows] == [0, -3, -2, 0]
    assert (found.worst(), found.n_equal("critical"), found.n_equal("masked")) == (3, 2, 4)
    assert [row.fault for row in found.beyond(2)] == [FAULTS[1]]
    assert found.agrees(3) and not found.agrees(2)


def test_a_part_of_the_published_list_may_agree_but_not_more_than_it_nor_nothing() -> None:
    part, whole = campaign(FAULTS[:2], [1, 2]), campaign(FAULTS, [1, 2, 3, 4])
    assert compare(part, whole).agrees(0) and compare(part, whole).only_theirs == FAULTS[2:]
    assert not compare(whole, part).agrees(100) and compare(whole, part).only_ours == FAULTS[2:]
    assert not compare(part, campaign(FAULTS[2:], [1, 2])).agrees(100)


def test_other_numbers_of_images_cannot_be_compared() -> None:
    found = compare(campaign(FAULTS, [1, 1, 1, 1], 100), campaign(FAULTS, [1, 1, 1, 1], 101))
    assert len(found.beyond(2)) == 4 and not found.agrees(2)


def test_a_list_without_results_is_an_error() -> None:
    with pytest.raises(ValueError, match="theirs: no results"):
        compare(campaign(FAULTS, [0] * 4), FaultList(FAULTS, None, [0, 1, 2, 3]))
