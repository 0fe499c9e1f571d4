"""The variance of two stages, by enumerating every sample there can be; the rest by hand and by brute force."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from gridrun.faults.clusters import (
    best_images_per_fault,
    design_effect,
    effective_size,
    icc,
    variance_of_rate,
    within_variance,
)

OUTCOMES = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]])  # 5 faults, 4 images


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 2), (4, 3), (5, 2), (2, 4), (5, 4)])
def test_every_sample_of_two_stages(n: int, m: int) -> None:
    """The mean of the estimates is the rate, of the estimated variances the variance, and that is the formula's."""
    faults, images = OUTCOMES.shape
    rates, variances = [], []
    for chosen in combinations(range(faults), n):
        for seen in product(combinations(range(images), m), repeat=n):
            critical = [OUTCOMES[i, list(s)].sum() for i, s in zip(chosen, seen)]
            rates.append(np.mean(critical) / m)
            variances.append(variance_of_rate(critical, m, faults, images, floor=False))
    own = OUTCOMES.mean(1)
    between, within = own.var(ddof=1), OUTCOMES.var(axis=1, ddof=1).mean()
    by_formula = (1 - n / faults) * between / n + (1 - m / images) * within / (n * m)
    assert np.mean(rates) == pytest.approx(OUTCOMES.mean())
    assert np.var(rates) == pytest.approx(by_formula, abs=1e-15)
    assert np.mean(variances) == pytest.approx(by_formula, abs=1e-15)


def test_images_may_differ_in_number_where_the_population_is_endless() -> None:
    random = np.random.default_rng(0)
    own = random.beta(0.3, 2, size=(20_000, 40))
    images = np.where(np.arange(40) < 15, 2, 9)
    critical = random.binomial(images, own)
    estimated = np.mean([variance_of_rate(row, images, floor=False) for row in critical[:4000]])
    assert estimated == pytest.approx((critical / images).mean(1).var(), rel=0.03)


def test_the_variance_is_the_design_effect_times_that_of_independent_trials() -> None:
    """Where all faults see as many images: s1^2 / n = p (1 - p) / (n m) (1 + (m - 1) ICC), but for 1 / n."""
    critical = np.random.default_rng(1).binomial(8, np.repeat([0.9, 0.02], [300, 700]))
    p = critical.mean() / 8
    by_effect = p * (1 - p) / 8000 * design_effect(icc(critical, 8), 8)
    assert variance_of_rate(critical, 8, floor=False) == pytest.approx(by_effect, rel=2e-3)


def test_icc_is_that_of_the_outcomes_themselves() -> None:
    """A second road: one-way analysis of variance of 0s and 1s."""
    groups = [np.array(row) for row in ([1, 1, 0], [0, 0, 0, 0], [1, 0], [1, 1, 1, 1, 0])]
    outcomes, n = np.concatenate(groups), np.array([len(g) for g in groups])
    between = sum(len(g) * (g.mean() - outcomes.mean()) ** 2 for g in groups) / 3
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (14 - 4)
    size = (14 - (n**2).sum() / 14) / 3
    assert icc([g.sum() for g in groups], n) == pytest.approx((between - within) / (between + (size - 1) * within))


def test_icc_of_faults_drawn_with_a_known_one() -> None:
    own = np.random.default_rng(2).beta(0.1, 0.9, size=200_000)  # ICC of a beta: 1 / (a + b + 1)
    assert icc(np.random.default_rng(3).binomial(5, own), 5) == pytest.approx(0.5, abs=0.01)
    with pytest.raises(ValueError, match="two images"):
        icc([0, 1], 1)


def test_what_was_not_seen_is_not_certain() -> None:
    assert variance_of_rate([0] * 98, 10) == pytest.approx(0.01 / 98)
    assert variance_of_rate([0] * 98, 10, floor=False) == 0
    assert variance_of_rate([0] * 98, 10, population=98) == 0  # but all that there is, is
    assert effective_size([0] * 98, 10) == effective_size([10] * 98, 10) == 98


def test_variance_within_where_each_fault_saw_one_image() -> None:
    assert within_variance([1, 0, 0, 0], 1) == 0.25 * 0.75


@pytest.mark.parametrize("cost", [0.5, 4, 30, 500])
@pytest.mark.parametrize(("between", "within"), [(0.195, 0.045), (4e-6, 1.1e-3), (0.01, 0.2)])
def test_images_per_fault_by_trying_all(cost: float, between: float, within: float) -> None:
    m = np.arange(1, 401)
    own = between - within / 400
    price = (own + within / m) * (cost + m)  # of a given variance, in images: n (c + m) with n = variance of one / v
    chosen = best_images_per_fault(between, within, cost, 400)
    assert price[chosen - 1] <= 1.01 * price.min() or own <= 0
    assert best_images_per_fault(between, 0.0, cost, 400) == best_images_per_fault(between, within, 0.0, 400) == 1
