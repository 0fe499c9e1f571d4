"""How often an interval holds the true rate, over many simulated campaigns on a population whose rate is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .estimate import Plan, Strata, estimate_rate
from .intervals import rate_interval, wilson
from .population import Population
from .verdicts import Counts


def campaigns(
    population: Population, n_faults: int, n_images: int, n_campaigns: int, seed: int
) -> Iterator[np.ndarray]:
    """Critical outcomes of each drawn fault, (n_faults,), campaign by campaign.

    Faults are drawn without replacement, and for each `n_images` of the images without replacement.
    """
    random = np.random.default_rng(seed)
    for _ in range(n_campaigns):
        critical = population.critical[random.choice(len(population.critical), n_faults, replace=False, shuffle=False)]
        if n_images < population.n_images:
            critical = random.hypergeometric(critical, population.n_images - critical, n_images)
        yield critical


def intervals_of(
    population: Population, n_faults: int, n_images: int, n_campaigns: int, seed: int, confidence: float = 0.99
) -> dict[str, np.ndarray]:
    """Bounds of the rate, (n_campaigns, 2), of `rate_interval` by each method and of wrongly "pooled" pairs."""
    found: dict[str, list[tuple[float, float]]] = {"wilson": [], "clopper_pearson": [], "pooled": []}
    for critical in campaigns(population, n_faults, n_images, n_campaigns, seed):
        for method in ("wilson", "clopper_pearson"):
            size, images = len(population.critical), population.n_images
            found[method].append(rate_interval(critical, n_images, confidence, method, size, images))
        found["pooled"].append(wilson(float(critical.sum()), n_faults * n_images, confidence))
    return {name: np.array(bounds) for name, bounds in found.items()}


def covered(bounds: np.ndarray, rate: float) -> float:
    """The share of intervals, rows (low, high), that hold the rate.

    >>> covered(np.array([[0.1, 0.3], [0.25, 0.5]]), 0.2)
    0.5
    """
    return float(np.mean((bounds[:, 0] <= rate) & (rate <= bounds[:, 1])))


class Simulated:
    """Stands for a network: draws the outcomes of faults, named by their number in a population."""

    def __init__(self, population: Population, seed: int) -> None:
        self.population, self.random = population, np.random.default_rng(seed)

    def __call__(self, faults: Sequence[Any], images: np.ndarray) -> list[Counts]:
        critical, n = self.population.critical[np.asarray(faults)], images.shape[1]
        drawn = self.random.hypergeometric(critical, self.population.n_images - critical, n)
        return [Counts(n, 0, n - k, k) for k in drawn.tolist()]


def sequential(
    population: Population,
    half_width: float,
    n_campaigns: int,
    plan: Plan,
    confidence: float = 0.99,
    strata: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """The last metrics of each of many sequential campaigns, by name, each (n_campaigns,)."""
    chosen: Any = strata if strata is not None else population.strata()
    ends = [_end(population, chosen, half_width, confidence, seed, plan) for seed in range(n_campaigns)]
    return {name: np.array([end[name] for end in ends]) for name in ends[0]}


def _end(
    population: Population, strata: Strata, half_width: float, confidence: float, seed: int, plan: Plan
) -> dict[str, float]:
    steps = estimate_rate(Simulated(population, seed), strata, half_width, confidence, seed, plan)
    *_, (_, metrics, _) = steps
    return metrics
