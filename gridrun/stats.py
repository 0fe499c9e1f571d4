"""Summaries, intervals and a test for repeated measurements, such as accuracies over noise draws and seeds.

Draws of noise on one trained network are repetitions of the deployment, not of the training: what holds for
networks in general shows in the spread over training seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = Sequence[float] | np.ndarray
Interval = tuple[float, float]


def flat(values: Any) -> np.ndarray:
    """All numbers in `values` (a number, an array, or a sequence of these) in one array; ValueError if there
    are none.

    >>> flat([[1, 2], [3.5]]).tolist()
    [1.0, 2.0, 3.5]
    """
    parts = values if isinstance(values, (list, tuple)) else [values]
    numbers = np.concatenate([np.asarray(part, dtype=float).ravel() for part in parts] or [np.zeros(0)])
    if numbers.size == 0:
        raise ValueError("no values to summarise")
    return numbers


def mean(values: Any) -> float:
    """The mean of all numbers in `values`."""
    return float(flat(values).mean())


def std(values: Any) -> float:
    """Standard deviation of the population (divided by n, as in the tables of Buechel, Faber and Muir).

    >>> std([1.0, 3.0])
    1.0
    """
    return float(flat(values).std())


def minimum(values: Any) -> float:
    """The smallest number in `values`: the worst draw."""
    return float(flat(values).min())


SUMMARY: dict[str, Callable[[Any], float]] = {"mean": mean, "std": std, "min": minimum}


def summary(values: Any) -> dict[str, float]:
    """Mean, std and min, as the published tables give them.

    >>> summary([0.75, 1.0, 0.5])
    {'mean': 0.75, 'std': 0.2041241452319315, 'min': 0.5}
    """
    return {name: reduce(values) for name, reduce in SUMMARY.items()}


def percentile_interval(values: Any, level: float = 0.95) -> Interval:
    """The range that holds the middle `level` of the values themselves.

    >>> percentile_interval(range(101), level=0.5)
    (25.0, 75.0)
    """
    low, high = np.percentile(flat(list(values)), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def t_interval(values: Any, level: float = 0.95) -> Interval:
    """Student's confidence interval of the mean; two values at least, taken as independent and about normal.

    >>> low, high = t_interval([1.0, 2.0, 3.0])  # 2 -+ 4.303 / sqrt(3)
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    from scipy import stats

    numbers = flat(values)
    if numbers.size < 2:
        raise ValueError("a t interval needs two values or more")
    half = stats.t.ppf((1 + level) / 2, numbers.size - 1) * numbers.std(ddof=1) / np.sqrt(numbers.size)
    return float(numbers.mean() - half), float(numbers.mean() + half)


def bootstrap_interval(
    values: Any,
    level: float = 0.95,
    statistic: Callable[..., Any] = np.mean,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of `statistic` (called with axis=1), Efron 1979: resampled with replacement, by
    `seed`.

    >>> bootstrap_interval([0.9, 0.9, 0.9])
    (0.9, 0.9)
    """
    numbers = flat(values)
    draws = np.random.default_rng(seed).integers(numbers.size, size=(n_resamples, numbers.size))
    return percentile_interval(statistic(numbers[draws], axis=1), level)


INTERVALS: dict[str, Callable[..., Interval]] = {
    "percentile": percentile_interval,
    "t": t_interval,
    "bootstrap": bootstrap_interval,
}


@dataclass(frozen=True)
class MannWhitney:
    """A rank test of two samples: `u` counts the pairs where a > b, a tie as half.

    `effect` = u / (n_a n_b) is the probability that a value of a exceeds one of b; 0.5 is no difference.
    """

    u: float
    p_value: float
    effect: float


def mann_whitney(a: Any, b: Any, alternative: str = "two-sided") -> MannWhitney:
    """Mann-Whitney U test (1947) of a against b; `alternative` is "two-sided", "greater" or "less".

    >>> mann_whitney([3, 4, 5], [1, 2])
    MannWhitney(u=6.0, p_value=0.2, effect=1.0)
    """
    from scipy import stats

    a, b = flat(a), flat(b)
    u, p_value = stats.mannwhitneyu(a, b, alternative=alternative)
    return MannWhitney(float(u), float(p_value), float(u) / (a.size * b.size))
