"""How often intervals hold the true rate, in simulated campaigns on populations whose rates are known."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gridrun.faults import clusters, estimate
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


def assert_covers(population: Population, n_campaigns: int) -> None:
    for fault_cost in (0.0, 8.0):
        found = sequential(population, 0.002, n_campaigns, Plan(10_000, fault_cost=fault_cost))
        assert covered(np.stack([found["low"], found["high"]], axis=1), population.rate) >= 0.98
        assert np.mean(found["half_width"] <= 0.002) >= 0.99  # a small stratum, all measured, may leave images unseen
        assert found["n_inferences"].mean() < 18_000


@pytest.mark.parametrize("make", POPULATIONS)
def test_the_sequential_estimate_covers(make) -> None:
    assert_covers(make(), 60)


@pytest.mark.long
@pytest.mark.parametrize("make", POPULATIONS)
def test_a_thousand_sequential_estimates_cover(make) -> None:
    assert_covers(make(), 1000)


GROUPS = [("layer", 0), ("layer", 9), ("layer", 19), ("bit", 30), ("bit", 28), ("bit", 5)]


@pytest.mark.parametrize(("key", "value"), GROUPS)
def test_a_layer_and_a_bit_are_covered(key: str, value: int) -> None:
    """1,000 campaigns of 150 faults of a group on 100 images: what `rates_by` does with each of its groups."""
    whole = resembling_published()
    chosen = getattr(whole, key) == value
    group = Population(whole.critical[chosen], whole.bit[chosen], whole.layer[chosen])
    found = intervals_of(group, 150, 100, n_campaigns=1000, seed=0)
    for method in ("wilson", "clopper_pearson"):
        assert covered(found[method], group.rate) >= 0.98


def only(critical: np.ndarray, n_images: int = 10_000) -> Population:
    return Population(critical, np.zeros(len(critical), int), np.zeros(len(critical), int), n_images)


def struck(n_faults: int, where: slice, critical: int) -> np.ndarray:
    found = np.zeros(n_faults, int)
    found[where] = critical
    return found


ALL, HALVES = {"all": np.arange(10_000)}, {"a": np.arange(5_000), "b": np.arange(5_000, 20_000)}
HARD = {  # population, strata, half-width wanted
    "one fault of 10,000": (only(struck(10_000, slice(7, 8), 10_000)), ALL, 0.003),
    "all in a tiny layer": (only(struck(20_000, slice(0, 20), 9_000)), HALVES, 0.004),
    "none": (only(np.zeros(10_000, int)), ALL, 0.003),
    "every second fault": (only(struck(10_000, slice(0, None, 2), 10_000)), ALL, 0.04),
    "each for one image": (only(np.ones(10_000, int), 1_000), ALL, 0.003),
}


def hard(name: str, n_campaigns: int) -> float:
    population, strata, half_width = HARD[name]
    plan = Plan(population.n_images, fault_cost=1.0, block=100)
    found = sequential(population, half_width, n_campaigns, plan, strata=strata)
    return covered(np.stack([found["low"], found["high"]], axis=1), population.rate)


@pytest.mark.parametrize("name", HARD)
def test_populations_made_to_mislead_are_covered(name: str) -> None:
    assert hard(name, 40) >= 0.97  # 39 of 40


@pytest.mark.long
@pytest.mark.parametrize("name", HARD)
def test_populations_made_to_mislead_are_covered_in_300_campaigns(name: str) -> None:
    assert hard(name, 300) >= 0.98


@pytest.mark.parametrize(
    ("name", "at_most"), [("one fault of 10,000", 0.4), ("all in a tiny layer", 0.95), ("each for one image", 0.95)]
)
def test_without_the_floor_of_the_variance_they_are_not(
    monkeypatch: pytest.MonkeyPatch, name: str, at_most: float
) -> None:
    """Of 500 campaigns 12, 79 and 83 % were right."""
    monkeypatch.setattr(clusters, "floored_variance", lambda rates: float(np.var(rates, ddof=1)))
    assert hard(name, 60) < at_most


@pytest.mark.long
def test_who_stops_at_the_first_narrow_interval_has_to_spend_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault of a hundred critical for every image: 97.9 % of 1,500 campaigns are right, and 96.6 % unspent."""
    population, plan = only(struck(1_000_000, slice(0, None, 100), 10_000)), Plan(10_000, fault_cost=1.0, block=100)
    strata = {"s": np.arange(1_000_000)}

    def right() -> float:
        found = sequential(population, 0.006, 500, plan, strata=strata)
        return covered(np.stack([found["low"], found["high"]], axis=1), population.rate)

    spent = right()
    monkeypatch.setattr(estimate, "confidence_at", lambda look, confidence: confidence)
    assert spent >= 0.97 and right() < spent  # 99 % is not quite reached: see the page's limits
