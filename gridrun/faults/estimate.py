"""The critical rate of a network to a wanted precision, by as few inferences as that takes.

Strata, a pilot in each, and then, look by look, the faults that bring most for their cost (Neyman's allocation)
until the interval is narrow enough. The estimate is P = sum W_h p_h, W_h the stratum's share of all faults and p_h
the mean of its faults' rates; its variance is sum W_h^2 v_h (Cochran, Sampling Techniques, 3rd ed., chapter 5),
with v_h of two stages (`clusters`).

Two dangers are met. A stratum whose sample showed nothing critical is not called certain: its variance has a floor
(`clusters.floored_variance`). And who looks again and again, and stops at the first narrow interval, is wrong more
often than one look would be, so confidence is spent: look k may be wrong with probability alpha 2^-k, alpha in all
(Boole). This function is chosen because it needs no end fixed beforehand, because the sum holds however the looks
depend on each other and on the sizes that earlier looks chose, and because it leaves half of alpha to the first
look after the pilot, which is planned to be the last: z is 2.81 there instead of 2.58 for 99 %. (Lan and DeMets'
functions, Biometrika 1983, spend by a fraction of an information that is fixed beforehand; ours is not.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .clusters import best_images_per_fault, rates_of, variance_of_rate, within_variance
from .draws import distinct, images_for
from .strata import neyman

Strata = Mapping[str, Sequence[Any]]
Measure = Callable[[list[Any], np.ndarray], Sequence[Any]]
Samples = dict[str, tuple[list[int], list[int]]]  # of each stratum: critical outcomes and images of each fault


@dataclass(frozen=True)
class Plan:
    """What a campaign costs and how it begins.

    n_images: M, the images there are. fault_cost: what setting a fault costs, in inferences. pilot_faults: of each
    stratum, at least; more where so much as half (pilot_share) of what the floor of its variance will ask for in any
    case is more. pilot_images: of each fault in the pilot. min_images: the fewest images of a fault (a batch of 4 may
    cost as much as one image). margin: how much narrower than wanted a look is planned to be, in variance.
    block: the faults of a stratum are a multiple of it, or all. faults_per_step: handed to `measure` at once.
    """

    n_images: int
    fault_cost: float = 0.0
    pilot_faults: int = 100
    pilot_share: float = 0.5
    pilot_images: int = 2
    min_images: int = 1
    margin: float = 1.1
    block: int = 1
    faults_per_step: int = 1000

    def __post_init__(self) -> None:
        if min(self.pilot_images, self.min_images, self.pilot_faults - 1, self.block, self.faults_per_step) < 1:
            raise ValueError(f"{self}: want a pilot of 2 faults or more, and 1 image or more of each")
        if max(self.pilot_images, self.min_images) > self.n_images:
            raise ValueError(f"{self}: there are but {self.n_images} images")

    def whole(self, faults: int, size: int) -> int:
        """`faults` of a stratum of `size`, in whole blocks."""
        return min(size, -(-faults // self.block) * self.block)


@dataclass(frozen=True)
class State:
    """All that the next step depends on, in lists and numbers that JSON can keep.

    critical, images: of each fault measured so far, by stratum. faults: how many each stratum has when this look
    ends. images_per_fault: for the faults still to come. look: 0 is the pilot. done: nothing is left to do.
    """

    critical: dict[str, list[int]]
    images: dict[str, list[int]]
    faults: dict[str, int]
    images_per_fault: dict[str, int]
    look: int = 0
    done: bool = False

    def samples(self) -> Samples:
        return {name: (self.critical[name], self.images[name]) for name in self.critical}


@dataclass(frozen=True)
class Estimate:
    """A rate, 0..1, its interval, and what it cost."""

    rate: float
    low: float
    high: float
    half_width: float
    n_faults: int
    n_inferences: int


def stratified(
    samples: Mapping[str, tuple[Any, Any]],
    sizes: Mapping[str, int],
    confidence: float = 0.99,
    n_images: int | None = None,
) -> Estimate:
    """The rate over all strata, rate -+ z sqrt(sum W_h^2 v_h), within 0..1.

    samples: critical outcomes and images of each fault, by stratum. sizes: the number of faults in each stratum.
    n_images: how many images there are; None says that each fault saw all of them.

    >>> found = stratified({"a": ([10, 0], 10), "b": ([0, 0], 10)}, {"a": 2, "b": 2})  # all seen: no doubt left
    >>> found.rate, found.half_width, found.n_inferences
    (0.25, 0.0, 40)
    """
    from scipy import stats

    if missing := [name for name in sizes if name not in samples]:
        raise ValueError(f"no sample of stratum {missing[0]!r}")
    total, rate, variance, n_faults, n_inferences = sum(sizes.values()), 0.0, 0.0, 0, 0
    for name, size in sizes.items():
        rates, images = rates_of(*samples[name])
        rate += size / total * float(rates.mean())
        variance += (size / total) ** 2 * variance_of_rate(*samples[name], size, n_images)
        n_faults, n_inferences = n_faults + len(rates), n_inferences + int(images.sum())
    half = float(stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance))
    return Estimate(rate, max(0.0, rate - half), min(1.0, rate + half), half, n_faults, n_inferences)


def confidence_at(look: int, confidence: float) -> float:
    """The confidence of the interval at a look; the errors 1 - it of all looks sum to 1 - confidence.

    >>> round(confidence_at(1, 0.99), 4), round(confidence_at(2, 0.99), 4)
    (0.995, 0.9975)
    """
    return 1 - (1 - confidence) * 0.5 ** max(look, 1)


def estimate_rate(
    measure: Measure,
    strata: Strata,
    half_width: float,
    confidence: float,
    seed: int,
    plan: Plan,
    state: State | None = None,
) -> Iterator[tuple[int, dict[str, float], State]]:
    """Measure faults until the interval of their critical rate is rate -+ half_width, yielding after each step.

    measure: takes a list of faults and the numbers of each one's images, (faults, images), and gives counts with
    `.critical` and `.n_injections`. strata: sequences of faults, which share none. Yields the number of faults so
    far, metrics at the end of each look (else {}: look, rate, low, high, half_width, n_faults, n_inferences) and the
    state, from which it goes on as if never stopped. Each yield holds a new state.

    >>> from types import SimpleNamespace
    >>> def measure(faults, images):  # faults 0 to 9 are critical for every image, the others for none
    ...     return [SimpleNamespace(critical=len(m) * (f < 10), n_injections=len(m)) for f, m in zip(faults, images)]
    >>> strata = {"exponent": range(20), "rest": range(20, 10_000)}
    >>> *_, (_, found, _) = estimate_rate(measure, strata, 0.002, 0.99, seed=0, plan=Plan(n_images=100))
    >>> found["low"] <= 0.001 <= found["high"] and found["half_width"] <= 0.002
    True
    """
    sizes = {name: len(faults) for name, faults in strata.items()}
    state = state if state is not None else first(sizes, half_width, confidence, plan)
    if set(state.critical) != set(sizes):
        raise ValueError(f"the state is of strata {', '.join(state.critical)}, not of {', '.join(sizes)}")
    while not state.done:
        while (name := unfinished(state)) is not None:
            state = _measured(measure, strata, name, seed, plan, state)
            if unfinished(state) is not None:
                yield n_faults(state), {}, state
        found = stratified(state.samples(), sizes, confidence_at(state.look, confidence), plan.n_images)
        metrics = {"look": state.look, **vars(found)}
        state = next_look(state, sizes, found, half_width, confidence, plan)
        yield n_faults(state), metrics, state


def first(sizes: Mapping[str, int], half_width: float, confidence: float, plan: Plan) -> State:
    """The state before the pilot."""
    if not sizes or not all(sizes.values()):
        raise ValueError(f"strata of {dict(sizes)} faults: want one at least, and none empty")
    if not 0 < half_width < 1 or not 0 < confidence < 1:
        raise ValueError(f"half_width={half_width!r}, confidence={confidence!r}: want both between 0 and 1")
    nothing = dict.fromkeys(sizes, (0.0, 0.0, 0.0))
    floor, _ = allocation(nothing, dict.fromkeys(sizes, 0), sizes, half_width, confidence_at(1, confidence), plan)
    return State(
        critical={name: [] for name in sizes},
        images={name: [] for name in sizes},
        faults={
            name: plan.whole(max(plan.pilot_faults, int(plan.pilot_share * floor[name])), n)
            for name, n in sizes.items()
        },
        images_per_fault=dict.fromkeys(sizes, max(plan.pilot_images, plan.min_images)),
    )


def n_faults(state: State) -> int:
    """Faults measured so far."""
    return sum(map(len, state.critical.values()))


def unfinished(state: State) -> str | None:
    """The first stratum that this look has not measured to its end; None where there is none."""
    return next((name for name, done in state.critical.items() if len(done) < state.faults[name]), None)


def _measured(measure: Measure, strata: Strata, name: str, seed: int, plan: Plan, state: State) -> State:
    """The state after the next faults of one stratum."""
    start = len(state.critical[name])
    end = min(state.faults[name], start + plan.faults_per_step)
    numbers = distinct(len(strata[name]), end, seed, "faults", name)[start:]
    images = images_for(start, end, state.images_per_fault[name], plan.n_images, seed, "images", name)
    counts = measure([strata[name][int(i)] for i in numbers], images)
    if len(counts) != len(numbers):
        raise ValueError(f"measure gave {len(counts)} counts for {len(numbers)} faults")
    critical = [*state.critical[name], *(int(c.critical) for c in counts)]
    seen = [*state.images[name], *(int(c.n_injections) for c in counts)]
    return replace(state, critical={**state.critical, name: critical}, images={**state.images, name: seen})


def next_look(
    state: State, sizes: Mapping[str, int], found: Estimate, half_width: float, confidence: float, plan: Plan
) -> State:
    """Done, where the interval of this look is narrow enough or all faults are measured; else the next look.

    The pilot is never the end: its variances come from few faults.
    """
    done = {name: len(counts) for name, counts in state.critical.items()}
    is_narrow = state.look > 0 and found.half_width <= half_width
    if is_narrow or all(done[name] == size for name, size in sizes.items()):
        return replace(state, done=True)
    seen = {name: components(*sample) for name, sample in state.samples().items()}
    confidence = confidence_at(state.look + 1, confidence)
    faults, images = allocation(seen, done, sizes, half_width, confidence, plan)
    return replace(state, faults=faults, images_per_fault=images, look=state.look + 1)


def components(critical: Any, images: Any) -> tuple[float, float, float]:
    """The rate, S1^2 between faults and S2^2 within a fault, of a sample of one stratum.

    E s1^2 = S1^2 + S2^2 mean(1 / m), so S1^2 by subtraction. Half a critical outcome in excess is counted within,
    since a pilot too small to show any shall not plan for none.

    >>> components([10, 0, 0, 0], 10)  # doctest: +ELLIPSIS
    (0.25, 0.2487..., 0.0121...)
    """
    rates, seen = rates_of(critical, images)
    within = max(within_variance(critical, images), 0.5 / float(seen.sum() + 1))
    s1 = float(np.var(rates, ddof=1)) if len(rates) > 1 else 0.0
    return float(rates.mean()), max(0.0, s1 - within * float(np.mean(1 / seen))), within


def allocation(
    seen: Mapping[str, tuple[float, float, float]],
    done: Mapping[str, int],
    sizes: Mapping[str, int],
    half_width: float,
    confidence: float,
    plan: Plan,
) -> tuple[dict[str, int], dict[str, int]]:
    """Faults of each stratum, those done included, and images of each fault to come, for a half-width wanted.

    n_h = W_h S_h / sqrt(c_h) sum(W_h S_h sqrt(c_h)) / (V + sum W_h^2 S1_h^2 / N_h) (Cochran, chapter 5), V the
    variance wanted. S_h^2 is that of the rates that will be seen: between faults as in the sample (`components`), the
    floor at the size n_h itself (it shrinks as 1 / n, so this is solved by repetition), and within faults at the
    best number of images.
    """
    from scipy import stats

    variance = (half_width / float(stats.norm.ppf((1 + confidence) / 2))) ** 2 / plan.margin
    rate, between, within = np.array([seen[name] for name in sizes]).T
    size, least = np.array([*sizes.values()], float), np.array([done[name] for name in sizes], float)
    share, n = size / size.sum(), least + 1
    for _ in range(60):
        own = between + (rate**2 + (1 - rate) ** 2) / (n + 2)
        best = [best_images_per_fault(*parts, plan.fault_cost, plan.n_images) for parts in zip(own, within)]
        images = np.clip(powers_of_two(best), plan.min_images, plan.n_images)
        deviation, cost = np.sqrt(own + within / images), plan.fault_cost + images
        wanted = share * deviation / np.sqrt(cost) * np.sum(share * deviation * np.sqrt(cost))
        wanted /= variance + np.sum(share**2 * own / size)
        n = np.clip(np.sqrt(n * wanted), np.maximum(least, 1), size)  # the geometric mean: no swinging to and fro
    total = max(int(np.ceil(n.sum())), int(1.1 * least.sum()) + 1)  # a look that brings a tenth at least: they end
    faults = neyman(total, share, deviation, cost.tolist(), [*sizes.values()], [done[name] for name in sizes])
    return {name: plan.whole(n, sizes[name]) for name, n in zip(sizes, faults)}, dict(zip(sizes, images.tolist()))


def powers_of_two(numbers: Sequence[int]) -> np.ndarray:
    """The nearest powers of two, so that different estimates ask for the same images; the cost is flat there.

    >>> powers_of_two([1, 3, 54]).tolist()
    [1, 4, 64]
    """
    return 2 ** np.round(np.log2(numbers)).astype(np.int64)
