"""One cached call after another, in a process that has opened its store; every result is read for the first time."""

from __future__ import annotations

from pathlib import Path

from .. import tools
from ..clock import lap
from ..row import Measured, Row, under
from .points import grid, limited, score

N = 5_000


def prepare(tool: str, folder: Path) -> None:
    n, _ = limited(tool, N)
    tools.load(tool).keep(score, folder)(grid(n))


def measure(tool: str, folder: Path) -> Measured:
    n, note = limited(tool, N)
    many = tools.load(tool).keep(score, folder)
    points = grid(n)
    many(points[:1])
    took, values = lap(lambda: [many([point])[0] for point in points[1:]])
    assert values == [p["seed"] + p["level"] for p in points[1:]]
    return took.measured(1e6 / (n - 1), note=note)


ROWS = [
    Row(
        "one_call",
        "one cached call",
        "µs",
        "under 15 µs",
        under(15),
        measure,
        prepare,
        reference="packed log",
    )
]
