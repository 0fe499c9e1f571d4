"""Summaries and intervals, by hand, by coverage and by counting pairs."""

from __future__ import annotations

import numpy as np
import pytest

from gridrun.stats import bootstrap_interval, flat, mann_whitney, percentile_interval, summary, t_interval


def test_summary_by_hand_over_points_that_hold_arrays() -> None:
    assert summary([np.array([1.0, 2.0]), [3.0], 6]) == {"mean": 3.0, "std": pytest.approx(3.5**0.5), "min": 1.0}


@pytest.mark.parametrize("nothing", [[], np.zeros(0), [[], []]])
def test_nothing_to_summarise_is_an_error(nothing: object) -> None:
    with pytest.raises(ValueError, match="no values"):
        flat(nothing)


def coverage(interval, n: int, n_trials: int = 400) -> float:
    """How often the interval of the mean of n standard normal values holds 0."""
    draws = np.random.default_rng(0).normal(size=(n_trials, n))
    bounds = [interval(row) for row in draws]
    return float(np.mean([low <= 0 <= high for low, high in bounds]))


def test_a_t_interval_covers_the_mean_as_often_as_it_says() -> None:
    assert coverage(lambda v: t_interval(v, 0.9), n=4) == pytest.approx(0.9, abs=0.05)


def test_a_bootstrap_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    assert coverage(lambda v: bootstrap_interval(v, 0.9, n_resamples=300), n=40) == pytest.approx(0.9, abs=0.05)


def test_bootstrap_of_a_mean_is_near_the_t_interval_and_repeats_by_seed() -> None:
    values = np.random.default_rng(1).normal(5, 2, size=200)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values) == pytest.approx(t_interval(values), abs=0.05)


def test_percentiles_hold_the_middle() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    assert percentile_interval(values, 0.95) == pytest.approx((-1.96, 1.96), abs=0.03)


def test_one_value_has_no_t_interval() -> None:
    with pytest.raises(ValueError, match="two values"):
        t_interval([1.0])


def test_mann_whitney_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 10, 30), rng.integers(4, 14, 25)
    pairs = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    found = mann_whitney(a, b)
    assert found.u == pairs
    assert found.effect == pairs / (30 * 25)
    assert found.p_value < 0.05
    assert mann_whitney(a, b, "less").p_value == pytest.approx(found.p_value / 2, rel=0.05)
