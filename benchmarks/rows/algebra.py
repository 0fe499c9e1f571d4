"""Grid algebra on 1,000,000 points of 36 keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..clock import seconds
from ..row import Measured, Row
from .dependencies import SETTINGS

SIDE = 1_000
SMALL_SIDE = 316  # a tenth of the points
Steps = list[tuple[str, Callable[[], Any]]]


def _times(side: int) -> dict[str, float]:
    """Seconds of split, configure and query on side * side points."""
    from gridrun import configure, query, split

    base = {**SETTINGS, "seed": 0}
    split_s, grid = seconds(lambda: split(split(base, "seed", range(side)), "setting_0", range(side)))
    assert len(grid) == side * side and len(grid[0]) == 36
    half = {"seed": lambda seed: seed < side // 2}
    configure_s, changed = seconds(lambda: configure(grid, {"dropout_prob": 0.0}, where=half))
    query_s, found = seconds(lambda: query(changed, ["seed", "setting_0"], where={"dropout_prob": 0.0}))
    assert len(found["seed"]) == side // 2 * side
    return {"split": split_s, "configure": configure_s, "query": query_s}


def _copies(side: int) -> float:
    base = {**SETTINGS, "seed": 0}
    first_s, grid = seconds(lambda: [dict(base) for _ in range(side * side)])
    second_s, _ = seconds(lambda: [dict(point) for point in grid])
    return first_s + second_s


def measure(tool: str, folder: Path) -> Measured:
    if tool == "bare dict copies":
        return {"value": _copies(SIDE)}
    small = sum(_times(SMALL_SIDE).values())
    large = _times(SIDE)
    growth = sum(large.values()) / small * SMALL_SIDE**2 / SIDE**2
    steps = ", ".join(f"{name} {took:.2f} s" for name, took in large.items())
    note = f"{steps}; a point takes {growth:.1f}x of what it takes on {SMALL_SIDE**2:,}"
    return {"value": sum(large.values()), "growth": growth, "note": note}


ROWS = [
    Row(
        "algebra",
        f"{SIDE**2:,} points of 36 keys: split, configure half of them, query",
        "s",
        "linear (at most 1.5x a point of a grid of a tenth)",
        lambda m: m["growth"] <= 1.5,
        measure,
        peers=(),
        reference="bare dict copies",
    )
]
