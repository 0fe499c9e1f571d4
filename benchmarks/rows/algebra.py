"""Grid algebra on 1,000,000 points of 36 keys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..clock import Lap, lap
from ..row import Measured, Row
from .dependencies import SETTINGS

SIDE = 1_000
SMALL_SIDE = 316  # a tenth of the points


def _laps(side: int) -> dict[str, Lap]:
    """split, configure and query on side * side points."""
    from gridrun import configure, query, split

    base = {**SETTINGS, "seed": 0}
    splitting, grid = lap(lambda: split(split(base, "seed", range(side)), "setting_0", range(side)))
    assert len(grid) == side * side and len(grid[0]) == 36
    half = {"seed": lambda seed: seed < side // 2}
    configuring, changed = lap(lambda: configure(grid, {"dropout_prob": 0.0}, where=half))
    querying, found = lap(lambda: query(changed, ["seed", "setting_0"], where={"dropout_prob": 0.0}))
    assert len(found["seed"]) == side // 2 * side
    return {"split": splitting, "configure": configuring, "query": querying}


def _total(laps: Iterable[Lap]) -> Lap:
    listed = list(laps)
    return Lap(sum(one.wall for one in listed), sum(one.cpu for one in listed))


def _copies(side: int) -> Lap:
    """What any grid algebra does at least: each point built, and copied once."""
    base = {**SETTINGS, "seed": 0}
    building, grid = lap(lambda: [dict(base) for _ in range(side * side)])
    copying, _ = lap(lambda: [dict(point) for point in grid])
    return _total([building, copying])


def measure(tool: str, folder: Path) -> Measured:
    if tool == "bare dict copies":
        return _copies(SIDE).measured()
    small = _total(_laps(SMALL_SIDE).values())
    steps = _laps(SIDE)
    large = _total(steps.values())
    growth = large.cpu / small.cpu * SMALL_SIDE**2 / SIDE**2
    told = ", ".join(f"{name} {took.cpu:.1f} s" for name, took in steps.items())
    note = f"{told} of processor time; a point takes {growth:.1f}x of what it takes among {SMALL_SIDE**2:,}"
    return large.measured(growth=growth, note=note)


ROWS = [
    Row(
        "algebra",
        f"{SIDE**2:,} points of 36 keys: split, configure half of them, query",
        "s",
        "linear: a point takes at most 1.5x of what it takes in a tenth of the grid",
        lambda m: m["growth"] <= 1.5,
        measure,
        peers=(),
        reference="bare dict copies",
    )
]
