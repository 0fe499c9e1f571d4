"""An argument of 100 MB: what the tool takes beyond reading the bytes once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import tools
from ..clock import alternating
from ..row import Measured, Row
from .points import refuse_when_cached

N = 25_000_000  # float32: 100 MB
REPEATS = {"gridrun": 21}


def mean(x: Any) -> float:
    """Of a large array."""
    refuse_when_cached()
    return float(x.mean())


def array() -> Any:
    import numpy as np

    return np.arange(N, dtype=np.float32)


def prepare(tool: str, folder: Path) -> None:
    tools.load(tool).keep(mean, folder)([{"x": array()}])


def measure(tool: str, folder: Path) -> Measured:
    from xxhash import xxh3_128_digest

    many, x = tools.load(tool).keep(mean, folder), array()
    points = [{"x": x}]
    many(points)
    took, floor = alternating(lambda: many(points), lambda: xxh3_128_digest(x), REPEATS.get(tool, 3))
    return took.measured(1e3, floor=floor.wall * 1e3, floor_name="bare xxh3_128")


OWN_KEY = {"exca": "asks its user for a key"}
ROWS = [
    Row(
        "array",
        "100 MB array argument, cached",
        "ms",
        "at most 1.3x bare xxh3_128",
        lambda m: m["value"] <= 1.3 * m["floor"],
        measure,
        prepare,
        peers=("joblib", "diskcache", "cachier"),
        absent=OWN_KEY,
    )
]
