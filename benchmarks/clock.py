"""Timing inside one process."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long one call took, and what it gave; the collector runs before and may run during it."""
    gc.collect()
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def typical(work: Callable[[], Any], budget_s: float = 1.0, most: int = 200) -> float:
    """Median seconds of up to `most` calls that together take about `budget_s`."""
    times: list[float] = []
    while not times or (sum(times) < budget_s and len(times) < most):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def alternating(one: Callable[[], Any], other: Callable[[], Any], n: int) -> tuple[float, float]:
    """Median seconds of `n` calls of each, taken in turn, so that a machine that slows down slows both."""
    pairs = [(typical(one, 0.0), typical(other, 0.0)) for _ in range(n)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
