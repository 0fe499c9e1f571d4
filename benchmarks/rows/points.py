"""The points of the first rows, and the function that is kept for them."""

from __future__ import annotations

import os
from typing import Any

# So many points at most, where more would take hours (cachier) or leave hundreds of thousands of files to remove
# (joblib); every point costs the same, times are scaled and say so.
LIMITS = {"cachier": 500, "joblib": 20_000}


def refuse_when_cached() -> None:
    """Raise where every call should have been answered from the store."""
    if os.environ.get("BENCHMARK_HITS_ONLY"):
        raise RuntimeError("a result that was stored was computed again")


def score(seed: int, level: float, method: str) -> float:
    """A trivial function of three small arguments."""
    refuse_when_cached()
    return seed + level


def grid(n: int) -> list[dict[str, Any]]:
    """n points (a multiple of 100) of three keys.

    >>> grid(200)[101]
    {'seed': 1, 'level': 0.01, 'method': 'standard'}
    """
    return [{"seed": i // 100, "level": i % 100 / 100, "method": "standard"} for i in range(n)]


def limited(tool: str, n: int) -> tuple[int, str]:
    """How many of `n` points a tool is given, and the note that says so."""
    given = min(n, LIMITS.get(tool, n))
    return given, "" if given == n else f"from {given:,} points"
