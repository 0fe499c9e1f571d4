"""Intervals of a rate: scipy's, the equations they solve, coverage by enumeration, and clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from gridrun.faults.clusters import effective_size
from gridrun.faults.intervals import METHODS, clopper_pearson, rate_interval, rates_by, wilson

SCIPY = {"wilson": "wilson", "clopper_pearson": "exact"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (3, 10_000), (9_999, 10_000)])
def test_as_scipy(method: str, k: int, n: int) -> None:
    for confidence in (0.5, 0.95, 0.99):
        theirs = stats.binomtest(k, n).proportion_ci(confidence, SCIPY[method])
        assert METHODS[method](k, n, confidence) == pytest.approx(tuple(theirs), abs=1e-12)


def test_nothing_and_everything() -> None:
    for interval in METHODS.values():
        assert interval(0, 25.5, 0.99)[0] == 0 < interval(0, 25.5, 0.99)[1]
        assert interval(25.5, 25.5, 0.99)[1] == 1 > interval(25.5, 25.5, 0.99)[0]
    assert clopper_pearson(0, 25.5, 0.99)[1] == pytest.approx(1 - 0.005 ** (1 / 25.5))


def test_wilson_of_a_fractional_size_solves_the_score_equation() -> None:
    k, n, z = 3.3, 17.7, stats.norm.ppf(0.995)

    def score(p: float) -> float:
        return (k / n - p) ** 2 - z**2 * p * (1 - p) / n

    roots = optimize.brentq(score, 0, k / n), optimize.brentq(score, k / n, 1)
    assert wilson(k, n, 0.99) == pytest.approx(roots, abs=1e-9)


def test_clopper_pearson_of_a_fractional_size_leaves_half_of_the_error_on_each_side() -> None:
    k, n = 3.3, 17.7
    low, high = clopper_pearson(k, n, 0.99)

    def area(a: float, b: float, end: float) -> float:
        density = integrate.quad(lambda p: p ** (a - 1) * (1 - p) ** (b - 1), 0, end, epsabs=1e-14)[0]
        return density / special.beta(a, b)

    assert area(k, n - k + 1, low) == pytest.approx(0.005, rel=1e-6)
    assert area(k + 1, n - k, high) == pytest.approx(0.995, rel=1e-6)


def coverages(method: str, n: int, confidence: float) -> np.ndarray:
    """The exact coverage at each of many true rates: the probability of the counts whose interval holds the rate."""
    bounds = np.array([METHODS[method](k, n, confidence) for k in range(n + 1)])
    rates = np.linspace(0.001, 0.999, 999)
    inside = (bounds[:, :1] <= rates) & (rates <= bounds[:, 1:])
    return (inside * stats.binom.pmf(np.arange(n + 1)[:, None], n, rates)).sum(0)


@pytest.mark.parametrize("n", [5, 40, 150])
def test_coverage_by_enumeration(n: int) -> None:
    assert coverages("clopper_pearson", n, 0.95).min() >= 0.95
    assert coverages("wilson", n, 0.95).mean() == pytest.approx(0.95, abs=0.012)
    assert coverages("wilson", n, 0.95).min() < 0.95  # the price of not being exact


@pytest.mark.parametrize(("k", "n", "confidence"), [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 2, 1.0), (1, 2, 99)])
@pytest.mark.parametrize("method", METHODS)
def test_impossible_counts_are_refused(method: str, k: float, n: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="want"):
        METHODS[method](k, n, confidence)


@pytest.mark.parametrize("method", METHODS)
def test_one_image_a_fault_is_no_cluster(method: str) -> None:
    critical = np.repeat([1, 0], [30, 970])
    assert effective_size(critical, 1) == 1000
    assert rate_interval(critical, 1, 0.99, method) == pytest.approx(METHODS[method](30, 1000, 0.99))


def test_faults_of_all_or_nothing_count_once_however_many_images_they_see() -> None:
    critical = np.repeat([1, 0], [30, 970])
    assert rate_interval(500 * critical, 500) == pytest.approx(wilson(30, 1000))


def test_faults_that_do_not_matter_are_pooled() -> None:
    critical = np.random.default_rng(0).binomial(10, 0.3, size=20_000)
    assert effective_size(critical, 10) == pytest.approx(200_000, rel=0.03)
    assert rate_interval(critical, 10) == pytest.approx(wilson(critical.sum(), 200_000), abs=2e-4)


def test_a_list_that_is_most_of_the_population_is_nearly_certain() -> None:
    critical = np.repeat([10, 0], [30, 970])
    widths = [np.diff(rate_interval(critical, 10, population=size)).item() for size in (None, 10**9, 4000, 1010)]
    assert widths[0] == pytest.approx(widths[1], rel=1e-5)
    assert widths[2] == pytest.approx(widths[0] * (1 - 1000 / 4000) ** 0.5, rel=0.02)
    assert widths[3] < widths[0] / 8
    assert rate_interval(critical, 10, population=1000) == (0.03, 0.03)
    with pytest.raises(ValueError, match="population=999"):
        rate_interval(critical, 10, population=999)


def test_a_group_is_judged_by_its_own_faults() -> None:
    keys, critical = ["conv1"] * 50 + ["linear"] * 30, [100] * 5 + [0] * 75
    found = rates_by(keys, critical, 100, method="clopper_pearson")
    assert list(found) == ["conv1", "linear"]
    assert (found["conv1"].rate, found["conv1"].n_faults) == (0.1, 50)
    assert (found["conv1"].low, found["conv1"].high) == rate_interval(critical[:50], 100, 0.99, "clopper_pearson")
    assert (found["linear"].low, found["linear"].high) == clopper_pearson(0, 30, 0.99)


def test_wrong_words_are_answered() -> None:
    with pytest.raises(ValueError, match="no method 'wald'; there are wilson"):
        rate_interval([1], 2, method="wald")
    with pytest.raises(ValueError, match="fault 1: 3 critical of 2 images"):
        rate_interval([1, 3], 2)
    with pytest.raises(ValueError, match="1 keys for 2 faults"):
        rates_by(["a"], [1, 2], 2)
    with pytest.raises(ValueError, match="no faults"):
        rate_interval([], 2)
