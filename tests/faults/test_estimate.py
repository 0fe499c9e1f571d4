"""The sequential estimate: what it does step by step. How often it is right stands in test_coverage."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from gridrun.faults.clusters import variance_of_rate
from gridrun.faults.estimate import Plan, State, allocation, confidence_at, estimate_rate, first, stratified
from gridrun.faults.strata import strata_of

STRATA = {"exponent": range(300), "rest": range(300, 20_000)}
PLAN = Plan(n_images=50, fault_cost=4, faults_per_step=150)


def measure(faults: list[int], images: np.ndarray) -> list[SimpleNamespace]:
    """Every second fault below 300 is critical for images 0 to 44, every hundredth of the others for image 7."""

    def critical(fault: int, seen: np.ndarray) -> int:
        return int((fault % 2 == 0) * (seen < 45).sum() if fault < 300 else (fault % 100 == 0) * (seen == 7).sum())

    return [SimpleNamespace(critical=critical(f, row), n_injections=len(row)) for f, row in zip(faults, images)]


RATE = (150 * 45 / 50 + 197 / 50) / 20_000


def steps(seed: int = 0, state: State | None = None, half_width: float = 0.001) -> list[tuple[int, dict, State]]:
    return list(estimate_rate(measure, STRATA, half_width, 0.99, seed, PLAN, state))


def test_it_ends_near_the_rate_with_the_interval_asked_for() -> None:
    n, found, state = steps()[-1]
    assert found["low"] <= RATE <= found["high"]
    assert found["half_width"] <= 0.001 and state.done and found["look"] >= 1
    assert n == found["n_faults"] == sum(map(len, state.critical.values())) < 20_000
    assert found["n_inferences"] == sum(map(sum, state.images.values()))


def test_the_seed_decides() -> None:
    assert steps(seed=3) == steps(seed=3)
    assert steps(seed=3)[-1][2].critical != steps(seed=4)[-1][2].critical


def test_it_goes_on_from_every_state_as_if_never_stopped_also_through_json() -> None:
    whole = steps()
    assert len(whole) > 8
    for i, (_, _, state) in enumerate(whole):
        kept = State(**json.loads(json.dumps(asdict(state))))
        assert steps(state=kept) == whole[i + 1 :]


def test_a_state_once_yielded_stays_as_it_is() -> None:
    texts = [(json.dumps(asdict(state)), state) for _, _, state in estimate_rate(measure, STRATA, 1e-3, 0.99, 0, PLAN)]
    assert all(text == json.dumps(asdict(state)) for text, state in texts)


def test_each_fault_is_measured_once_with_different_images_of_those_there_are() -> None:
    calls: list[tuple[list[int], np.ndarray]] = []

    def noted(faults: list[int], images: np.ndarray) -> list[SimpleNamespace]:
        calls.append((faults, images))
        return measure(faults, images)

    list(estimate_rate(noted, STRATA, 1e-3, 0.99, 0, PLAN))
    faults = [fault for chosen, _ in calls for fault in chosen]
    assert len(set(faults)) == len(faults)
    assert all(len(chosen) == len(images) <= 150 for chosen, images in calls)
    assert all(row.min() >= 0 and row.max() < 50 for _, row in calls)
    assert all((np.diff(np.sort(images, axis=1), axis=1) > 0).all() for _, images in calls)


def test_a_narrower_interval_asks_again_for_what_a_wider_one_measured() -> None:
    """Whole blocks of faults, and images in powers of two, the fewer among the more."""
    plan, asked = Plan(n_images=10_000, fault_cost=8, block=100, faults_per_step=500), []

    def noted(faults: list[int], images: np.ndarray) -> list[SimpleNamespace]:
        asked[-1].update({(fault, image) for fault, row in zip(faults, images.tolist()) for image in row})
        assert len(faults) % 100 == 0 or max(faults) >= 300
        return measure(faults, images)

    for half_width in (0.004, 0.002, 0.001):
        asked.append(set())
        *_, (_, _, state) = estimate_rate(noted, STRATA, half_width, 0.99, 0, plan)
        assert all(n % 100 == 0 for n in state.faults.values())
        assert all(m & (m - 1) == 0 for counts in state.images.values() for m in counts)
    wide, middle, narrow = asked
    assert len(wide - middle) <= 0.1 * len(wide) and len(middle - narrow) <= 0.1 * len(middle)
    assert len(wide) < len(middle) < len(narrow)


def test_all_faults_and_all_images_leave_no_doubt() -> None:
    plan = Plan(n_images=50, pilot_images=50, min_images=50)
    *_, (n, found, state) = estimate_rate(measure, {"all": range(0, 20_000, 40)}, 1e-9, 0.99, 0, plan)
    assert (n, found["half_width"], state.done) == (500, 0, True)
    every = measure(list(range(0, 20_000, 40)), np.tile(np.arange(50), (500, 1)))
    assert found["rate"] == pytest.approx(sum(c.critical for c in every) / 25_000)


def test_the_pilot_is_never_the_end() -> None:
    ends = [found["look"] for _, found, _ in steps(half_width=0.4) if found]
    assert ends == [0, 1]


def test_nothing_critical_is_not_certainty() -> None:
    def nothing(faults: list[int], images: np.ndarray) -> list[SimpleNamespace]:
        return [SimpleNamespace(critical=0, n_injections=len(row)) for row in images]

    *_, (n, found, _) = estimate_rate(nothing, STRATA, 1e-3, 0.99, 0, PLAN)
    assert found["rate"] == 0 and 0 < found["high"] <= 1e-3
    assert n > 1000  # by hand: z W / n of the larger stratum alone is below 0.001 from n = 2,800 on
    assert n == pytest.approx(2800, rel=0.25)


def test_errors_of_the_looks_sum_to_what_was_allowed() -> None:
    assert sum(1 - confidence_at(look, 0.99) for look in range(1, 60)) == pytest.approx(0.01)
    assert stats.norm.ppf((1 + confidence_at(1, 0.99)) / 2) == pytest.approx(2.807, abs=1e-3)


def test_a_stratified_estimate_by_hand() -> None:
    samples = {"a": ([3, 0, 1, 4], 4), "b": ([0, 0, 1], [2, 2, 4])}
    found = stratified(samples, {"a": 10, "b": 30}, 0.95, n_images=20)
    assert found.rate == pytest.approx(0.25 * (3 + 0 + 1 + 4) / 16 + 0.75 * (1 / 4) / 3)
    v = 0.25**2 * variance_of_rate(*samples["a"], 10, 20) + 0.75**2 * variance_of_rate(*samples["b"], 30, 20)
    assert found.half_width == pytest.approx(1.959964 * v**0.5)
    assert (found.n_faults, found.n_inferences) == (7, 24)
    assert 0 == found.low < found.high


def test_strata_tell_more_than_a_plain_sample_of_as_many_faults() -> None:
    """The published rates: bit 30 apart, and Neyman's shares, need a fiftieth of the faults."""
    shares, rates = np.array([1, 31]) / 32, np.array([0.401, 0.00028])
    between = np.array([0.442**2, 0.0013**2])
    plain = shares @ between + shares @ (rates - shares @ rates) ** 2
    neyman = (shares @ np.sqrt(between)) ** 2
    assert plain == pytest.approx(0.0109, rel=0.02)  # as in the published list
    assert 45 < plain / neyman < 60


@pytest.mark.parametrize("cost", [0.0, 8.0])
def test_the_allocation_reaches_the_variance_and_no_cheaper_one_does(cost: float) -> None:
    seen = {"30": (0.4, 0.19, 0.05), "others": (0.0003, 1e-6, 3e-4)}
    sizes, plan = {"30": 10_000, "others": 310_000}, Plan(10_000, fault_cost=cost, margin=1.0)

    def variance(n: dict, m: dict) -> float:
        total = 0.0
        for name, (p, between, within) in seen.items():
            own = between + (p * p + (1 - p) ** 2) / (n[name] + 2)
            spread = (1 / n[name] - 1 / sizes[name]) * own + within / m[name] / n[name]
            total += (sizes[name] / 320_000) ** 2 * spread
        return total

    def price(n: dict, m: dict) -> float:
        return sum(n[name] * (cost + m[name]) for name in n)

    n, m = allocation(seen, {"30": 0, "others": 0}, sizes, 0.002, 0.99, plan)
    wanted = (0.002 / stats.norm.ppf(0.995)) ** 2
    assert variance(n, m) == pytest.approx(wanted, rel=0.02)
    for part in np.linspace(0.3, 2, 35):
        other = {"30": int(part * n["30"]), "others": n["others"]}
        while variance(other, m) > wanted:
            other["others"] = int(other["others"] * 1.02) + 1
            if other["others"] > 5 * n["others"]:
                break
        else:
            assert price(other, m) > 0.9 * price(n, m)


def test_faults_of_a_network_go_through() -> None:
    seen = []

    def masked(faults: list, images: np.ndarray) -> list[SimpleNamespace]:
        seen.extend(faults)
        return [SimpleNamespace(critical=0, n_injections=len(row)) for row in images]

    strata = strata_of({"conv1": (16, 3, 3, 3), "linear": (10, 64)}, n_layer_groups=2)
    *_, (_, found, state) = estimate_rate(masked, strata, 0.01, 0.99, 0, Plan(n_images=100))
    assert state.done and len(set(seen)) == len(seen) == found["n_faults"]
    assert {fault.layer for fault in seen} == {"conv1", "linear"}


def test_wrong_words_are_answered() -> None:
    sizes = {name: len(faults) for name, faults in STRATA.items()}
    with pytest.raises(ValueError, match="0 counts for 100 faults"):
        list(estimate_rate(lambda faults, images: [], STRATA, 0.4, 0.99, 0, PLAN))
    with pytest.raises(ValueError, match="not of a"):
        list(estimate_rate(measure, {"a": range(9)}, 0.1, 0.99, 0, PLAN, first(sizes, 0.1, 0.99, PLAN)))
    with pytest.raises(ValueError, match="none empty"):
        list(estimate_rate(measure, {"a": range(0)}, 0.1, 0.99, 0, PLAN))
    with pytest.raises(ValueError, match="half_width=2"):
        list(estimate_rate(measure, STRATA, 2, 0.99, 0, PLAN))
    with pytest.raises(ValueError, match="there are but 3 images"):
        Plan(n_images=3, min_images=4)
    with pytest.raises(ValueError, match="no sample of stratum 'b'"):
        stratified({"a": ([1], 2)}, {"a": 2, "b": 3})
