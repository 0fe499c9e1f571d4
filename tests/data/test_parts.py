"""Samples set apart and made equal in number, class by class."""

from __future__ import annotations

import numpy as np
import pytest

from gridrun.data.parts import apart, balanced

LABELS = np.repeat([2, 0, 1], [100, 30, 3])


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_each_class_is_divided_in_the_same_proportion_and_nothing_is_lost(fraction: float) -> None:
    stay, leave = apart(LABELS, fraction, np.random.default_rng(0))
    assert sorted([*stay, *leave]) == list(range(133)) and not set(stay) & set(leave)
    counts = np.bincount(LABELS[leave], minlength=3)
    assert abs(counts[2] - 100 * fraction) <= 0.5 and abs(counts[0] - 30 * fraction) <= 0.5
    assert 1 <= counts[1] <= 2  # of three one or two, never none or all


def test_nothing_leaves_at_fraction_0_and_a_class_of_one_stays() -> None:
    stay, leave = apart(np.array([0, 0, 1]), 0.5, np.random.default_rng(0))
    assert 2 in stay and len(leave) == 1
    assert [len(part) for part in apart(LABELS, 0, np.random.default_rng(0))] == [133, 0]
    with pytest.raises(ValueError, match=r"fraction=1: want 0 <= fraction < 1"):
        apart(LABELS, 1, np.random.default_rng(0))


def test_every_sample_is_as_likely_to_leave() -> None:
    left = sum(np.isin(np.arange(133), apart(LABELS, 0.1, np.random.default_rng(i))[1]) for i in range(1000))
    assert np.abs(left[LABELS == 2] / 1000 - 0.1).max() < 0.05  # five standard deviations


def test_of_many_some_of_few_all_and_some_again() -> None:
    chosen = balanced(LABELS, 40, 3, np.random.default_rng(0))
    assert np.bincount(LABELS[chosen]).tolist() == [40, 40, 40]
    times = np.bincount(chosen, minlength=133)
    assert times[LABELS == 2].max() == 1
    assert set(times[LABELS == 0]) == {1, 2} and set(times[LABELS == 1]) == {13, 14}
    assert (np.diff(LABELS[chosen]) != 0).sum() > 60  # mixed
    with pytest.raises(ValueError, match="class 3 has no samples"):
        balanced(LABELS, 40, 4, np.random.default_rng(0))
