"""Confidence intervals of a rate: of independent trials, and of faults that each saw many images.

One fault shown n images is one cluster, not n trials: most faults change nothing at all, a few change nearly
everything. `rate_interval` reduces the trials to the number of independent ones that would be as informative (the
effective sample size; Kish, Survey Sampling, 1965) and only then asks Wilson or Clopper and Pearson.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .clusters import effective_size, rates_of

Interval = tuple[float, float]


def wilson(k: float, n: float, confidence: float = 0.99) -> Interval:
    """Score interval of a proportion, k of n (Wilson, JASA 1927); k and n may be fractions of effective size.

    >>> low, high = wilson(2, 10, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.0567, 0.5098)
    >>> wilson(0, 10, 0.95)[0], wilson(10, 10, 0.95)[1]
    (0.0, 1.0)
    """
    from scipy import stats

    _check(k, n, confidence)
    z, p = float(stats.norm.ppf((1 + confidence) / 2)), k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else max(0.0, float(middle - half))), (1.0 if k == n else min(1.0, float(middle + half)))


def clopper_pearson(k: float, n: float, confidence: float = 0.99) -> Interval:
    """The "exact" interval of a proportion, k of n (Biometrika 1934), by quantiles of the beta distribution.

    It covers at least `confidence` for every true rate where k is a count; fractional k and n as in Korn and
    Graubard (Survey Methodology 24, 1998).

    >>> low, high = clopper_pearson(0, 10, 0.95)  # 1 - 0.025 ** (1 / 10)
    >>> low, round(high, 6)
    (0.0, 0.308497)
    """
    from scipy import stats

    _check(k, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(stats.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(stats.beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def _check(k: float, n: float, confidence: float) -> None:
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"k={k!r} of n={n!r}: want 0 <= k <= n and n above 0")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r}: want a number between 0 and 1, such as 0.99")


METHODS: dict[str, Callable[[float, float, float], Interval]] = {"wilson": wilson, "clopper_pearson": clopper_pearson}


def rate_interval(
    critical: Any,
    n: Any,
    confidence: float = 0.99,
    method: str = "wilson",
    population: int | None = None,
    n_images: int | None = None,
) -> Interval:
    """Interval of the rate of critical outcomes, from the counts of each fault (see clusters.effective_size).

    critical, n: outcomes and images of each fault, arrays (faults,), or one n for all. population: how many faults
    there are, where the list is drawn from them without replacement; None is endless. n_images: how many images
    there are, where each fault saw a few drawn for it; None says that the images seen are all that matter.
    The variance between faults is itself estimated, with faults - 1 degrees of freedom: z / t enters as in Korn and
    Graubard (1998), down to one trial a fault, the worst case of rates in 0..1, which needs no estimate.

    >>> low, high = rate_interval([0] * 99 + [100], 100)  # one fault of 100 is critical, for every image
    >>> round(low, 4), round(high, 4)
    (0.0012, 0.0798)
    >>> low, high = wilson(100, 10_000)  # wrong: as if these were 10,000 independent trials
    >>> round(low, 4), round(high, 4)
    (0.0077, 0.0129)
    """
    from scipy import stats

    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    rates, _ = rates_of(critical, n)
    t, z = stats.t.ppf((1 + confidence) / 2, max(len(rates) - 1, 1)), stats.norm.ppf((1 + confidence) / 2)
    rate, size = float(rates.mean()), effective_size(critical, n, population, n_images, float(z / t) ** 2)
    if np.isinf(size):  # every fault and every image was seen
        return rate, rate
    return METHODS[method](min(rate * size, size), size, confidence)


@dataclass(frozen=True)
class Rate:
    """The rate of critical outcomes among some faults, 0..1, and its interval."""

    rate: float
    low: float
    high: float
    n_faults: int


def rates_by(
    keys: Sequence[Hashable],
    critical: Any,
    n: Any,
    confidence: float = 0.99,
    method: str = "wilson",
    population: Mapping[Any, int] | None = None,
) -> dict[Hashable, Rate]:
    """The rate and interval of each group of faults, by the key of each fault: its layer, its bit, or one for all.

    population: the number of faults that there are of each key, for the finite-population correction. Each interval
    holds by itself; for k of them at once ask for confidence 1 - (1 - confidence) / k.

    >>> rates_by(["conv1", "linear", "conv1"], [0, 9, 10], 10)["linear"].rate
    0.9
    """
    rates, images = rates_of(critical, n)
    if len(keys) != len(rates):
        raise ValueError(f"{len(keys)} keys for {len(rates)} faults: want as many")
    places: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    found = {}
    for key, chosen in places.items():
        k, m = (rates * images)[chosen], images[chosen]
        low, high = rate_interval(k, m, confidence, method, population[key] if population else None)
        found[key] = Rate(float(rates[chosen].mean()), low, high, len(chosen))
    return found
