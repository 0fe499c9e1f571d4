"""Timing inside one process: by the clock on the wall, and by the processor time that the process was given."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Lap(NamedTuple):
    """How long something took, in seconds; `cpu` leaves out the time that other programs had the processor."""

    wall: float
    cpu: float

    def measured(self, scale: float = 1.0, **more: Any) -> dict[str, Any]:
        """As a measurement; `scale` makes the row's unit of seconds.

        >>> Lap(2e-6, 1e-6).measured(1e6, note="few")
        {'value': 2.0, 'cpu': 1.0, 'note': 'few'}
        """
        return {"value": self.wall * scale, "cpu": self.cpu * scale, **more}


def lap(work: Callable[[], Any]) -> tuple[Lap, Any]:
    """How long one call took, and what it gave. Garbage is collected before, and during it if it comes to that."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Lap(time.perf_counter() - wall, time.process_time() - cpu), result


def typical(work: Callable[[], Any], budget_s: float = 1.0, most: int = 200) -> Lap:
    """Median of up to `most` calls that together take about `budget_s`."""
    laps = [_quick_lap(work)]
    while sum(one.wall for one in laps) < budget_s and len(laps) < most:
        laps.append(_quick_lap(work))
    return median(laps)


def alternating(one: Callable[[], Any], other: Callable[[], Any], n: int) -> tuple[Lap, Lap]:
    """Medians of `n` calls of each, taken in turn, so that a machine that slows down slows both."""
    pairs = [(_quick_lap(one), _quick_lap(other)) for _ in range(n)]
    return median([a for a, _ in pairs]), median([b for _, b in pairs])


def median(laps: list[Lap]) -> Lap:
    return Lap(statistics.median(one.wall for one in laps), statistics.median(one.cpu for one in laps))


def _quick_lap(work: Callable[[], Any]) -> Lap:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Lap(time.perf_counter() - wall, time.process_time() - cpu)
