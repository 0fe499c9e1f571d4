"""Strata hold each fault once; draws do not repeat; the allocation is the best there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from gridrun.faults.draws import LISTED, distinct, images_for
from gridrun.faults.strata import WeightBits, layer_groups, neyman, strata_of
from gridrun.faults.weight_fault import WeightFault

SHAPES = {"conv1": (3, 2, 2, 2), "block.conv": (4, 3, 1, 1), "linear": (5, 4)}


@pytest.mark.parametrize("n_layer_groups", [1, 2, 3])
def test_the_strata_together_hold_each_fault_once(n_layer_groups: int) -> None:
    strata = strata_of(SHAPES, n_layer_groups=n_layer_groups, kind="stuck1")
    held = [fault for stratum in strata.values() for fault in stratum]
    every = [
        WeightFault(layer, index, bit, "stuck1")
        for layer, shape in SHAPES.items()
        for index in np.ndindex(shape)
        for bit in range(32)
    ]
    assert len(strata) == 3 * n_layer_groups
    assert sorted(held) == sorted(every)
    assert all(type(i) is int for fault in held for i in fault.index)


def test_faults_by_number_are_those_of_the_loop() -> None:
    faults = WeightBits(SHAPES, (23, 30))
    assert faults[-1] == WeightFault("linear", (4, 3), 30) == faults[len(faults) - 1]
    assert faults[2:5] == [faults[2], faults[3], faults[4]]
    with pytest.raises(IndexError, match="fault 112 of 112"):
        faults[len(faults)]
    with pytest.raises(ValueError, match="0 bits"):
        WeightBits(SHAPES, ())


def test_layer_groups_are_neighbours_of_about_as_many_weights() -> None:
    sizes = {str(i): 10 for i in range(12)}
    assert [len(group) for group in layer_groups(sizes, 4)] == [3, 3, 3, 3]
    assert layer_groups({"a": 1, "b": 98, "c": 1}, 3) == [["a"], ["b"], ["c"]]
    with pytest.raises(ValueError, match="n_groups=0"):
        layer_groups(sizes, 0)


def variance(n: tuple[int, ...], weights: list[float], deviations: list[float], sizes: list[int]) -> float:
    return sum(w**2 * s**2 * (1 / k - 1 / size) for k, w, s, size in zip(n, weights, deviations, sizes))


def test_neyman_by_trying_all() -> None:
    weights, deviations, sizes = [0.5, 0.3, 0.2], [1.0, 4.0, 0.5], [100, 12, 100]
    every = [n for n in product(range(2, 31), repeat=3) if sum(n) == 30 and n[1] <= 12]
    best = min(every, key=lambda n: variance(n, weights, deviations, sizes))
    found = neyman(30, weights, deviations, sizes=sizes, minimum=2)
    assert sum(found) == 30 and found[1] == 12
    assert variance(tuple(found), weights, deviations, sizes) == pytest.approx(
        variance(best, weights, deviations, sizes), rel=0.01
    )


def test_neyman_of_largest_remainders_minima_sizes_and_costs() -> None:
    assert neyman(10, [1, 1, 1], [1, 1, 1]) == [4, 3, 3]
    assert neyman(10, [1, 1], [1, 0], minimum=3) == [7, 3]
    assert neyman(10, [1, 1], [0, 0]) == [5, 5]
    assert neyman(30, [1, 1], [1, 1], costs=[1, 4]) == [20, 10]
    assert neyman(100, [1, 1], [1, 1], sizes=[10, 20]) == [10, 20]  # there are no more
    assert neyman(3, [1, 1], [1, 1], minimum=[4, 4]) == [4, 4]  # the minima come first


@pytest.mark.parametrize("shares", [(1, 2, 3, 4, 5), (5, 0, 0, 0, 1), (1e-9, 1, 1, 1e6, 3)])
def test_neyman_spends_all_within_bounds(shares: tuple[float, ...]) -> None:
    for total in (10, 57, 200):
        found = neyman(total, shares, [1] * 5, sizes=[50] * 5, minimum=2)
        assert sum(found) == total
        assert all(2 <= n <= 50 for n in found)


@pytest.mark.parametrize("size", [50, LISTED, LISTED + 1, 10**12])
def test_a_longer_draw_begins_with_the_shorter(size: int) -> None:
    n = min(size, 3000)
    long = distinct(size, n, 7, "faults", "bits 30")
    assert len(set(long.tolist())) == n and long.min() >= 0 and long.max() < size
    for shorter in (1, 20, n // 2):
        assert distinct(size, shorter, 7, "faults", "bits 30").tolist() == long[:shorter].tolist()
    assert distinct(size, 20, 8, "faults", "bits 30").tolist() != long[:20].tolist()
    with pytest.raises(ValueError, match="without replacement"):
        distinct(10, 11, 0)


def test_nearly_all_of_a_large_population_can_be_drawn() -> None:
    assert sorted(distinct(LISTED + 1, LISTED + 1, 0).tolist()) == list(range(LISTED + 1))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("n_images", [9, 40])  # shuffled whole, and drawn one by one
def test_each_choice_of_images_is_as_likely(n: int, n_images: int) -> None:
    rows = images_for(0, 30_000, n, n_images, 0, "images")
    assert rows.shape == (30_000, n) and (np.diff(np.sort(rows, axis=1)) > 0).all()
    assert stats.chisquare(np.bincount(rows.ravel(), minlength=n_images)).pvalue > 1e-3
    if n == 2:
        pairs = np.bincount(np.sort(rows, axis=1) @ [n_images, 1], minlength=n_images**2)
        assert stats.chisquare(pairs[pairs > 0]).pvalue > 1e-3 and (pairs > 0).sum() == n_images * (n_images - 1) / 2
    with pytest.raises(ValueError, match="10 different images of 9"):
        images_for(0, 1, 10, 9, 0)


def test_what_a_fault_is_shown_depends_on_nothing_that_was_asked_before() -> None:
    whole = images_for(0, 350, 16, 10_000, 5, "images", "bits 30")
    for first, last, n in ((0, 100, 2), (100, 350, 16), (99, 101, 5), (340, 341, 1), (7, 7, 3)):
        assert (images_for(first, last, n, 10_000, 5, "images", "bits 30") == whole[first:last, :n]).all()
    assert not (images_for(0, 350, 16, 10_000, 6, "images", "bits 30") == whole).all(axis=0).any()
    assert len(np.unique(whole, axis=0)) == 350
