"""How often intervals hold the true rate, in simulated campaigns on populations whose rates are known."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gridrun.faults.coverage import covered, intervals_of, sequential
from gridrun.faults.estimate import Plan
from gridrun.faults.population import Population, resembling_published


@cache
def published() -> Population:
    """The published ResNet20 list itself as the population."""
    path = Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers = list(dict.fromkeys(row["Layer"] for row in rows))
    critical, bit = (np.array([int(row[key]) for row in rows]) for key in ("critical", "Bit"))
    return Population(critical, bit, np.array([layers.index(row["Layer"]) for row in rows]))


POPULATIONS = [
    pytest.param(resembling_published, id="resembling"),
    pytest.param(published, id="published", marks=pytest.mark.data),
]


@pytest.mark.parametrize("make", POPULATIONS)
def test_the_population_has_the_published_facts(make) -> None:
    population = make()
    critical = population.critical
    assert population.rate == pytest.approx(0.0128, abs=2e-4)
    assert population.icc() == pytest.approx(0.87, abs=0.01)
    assert critical[population.bit == 30].sum() / critical.sum() == pytest.approx(0.98, abs=0.003)
    assert critical[population.bit >= 23].sum() / critical.sum() == pytest.approx(0.999, abs=0.001)


@pytest.mark.parametrize("make", POPULATIONS)
@pytest.mark.parametrize("n_images", [10, 100])
def test_clusters_are_covered_and_pooled_pairs_are_not(make, n_images: int) -> None:
    population = make()
    found = intervals_of(population, 2000, n_images, n_campaigns=1000, seed=0)
    assert covered(found["wilson"], population.rate) >= 0.98
    assert covered(found["clopper_pearson"], population.rate) >= 0.98
    assert 0.15 < covered(found["pooled"], population.rate) < 0.7


def check(population: Population, n_campaigns: int) -> None:
    for fault_cost in (0.0, 8.0):
        found = sequential(population, 0.002, n_campaigns, Plan(10_000, fault_cost=fault_cost))
        assert covered(np.stack([found["low"], found["high"]], axis=1), population.rate) >= 0.98
        assert np.mean(found["half_width"] <= 0.002) >= 0.99  # a small stratum, all measured, may leave images unseen
        assert found["n_inferences"].mean() < 18_000


@pytest.mark.parametrize("make", POPULATIONS)
def test_the_sequential_estimate_covers(make) -> None:
    check(make(), 60)


@pytest.mark.slow
@pytest.mark.parametrize("make", POPULATIONS)
def test_a_thousand_sequential_estimates_cover(make) -> None:
    check(make(), 1000)
