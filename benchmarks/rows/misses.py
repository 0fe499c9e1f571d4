"""What storing a result costs beside computing it: many points of a trivial function, none of them stored."""

from __future__ import annotations

from pathlib import Path

from .. import tools
from ..clock import lap
from ..row import PEERS, Measured, Row, under
from .points import grid, limited, score

N = 10_000


def measure(tool: str, folder: Path) -> Measured:
    n, note = limited(tool, N)
    many = tools.load(tool).keep(score, folder)
    points = grid(n)
    many(points[:1])
    took, values = lap(lambda: many(points[1:]))
    assert values == [p["seed"] + p["level"] for p in points[1:]]
    return took.measured(1e6 / (n - 1), note=note)


def measure_singly(tool: str, folder: Path) -> Measured:
    n, note = limited(tool, N // 20)
    many = tools.load(tool).keep(score, folder)
    points = grid(n)
    many(points[:1])
    took, values = lap(lambda: [many([point])[0] for point in points[1:]])
    assert values == [p["seed"] + p["level"] for p in points[1:]]
    return took.measured(1e6 / (n - 1), note=note)


NO_FSYNC = {"GRIDRUN_FSYNC": "0"}
ROWS = [
    Row(
        "misses",
        "miss overhead in bulk, without fsync",
        "µs",
        "under 40 µs",
        under(40),
        measure,
        reference="packed log",
        environment=NO_FSYNC,
    ),
    Row(
        "misses_fsync",
        "the same, on disk (fsync) before it is reported done",
        "µs",
        "",
        lambda m: True,
        measure,
        peers=(),
        absent=dict.fromkeys(PEERS, "no fsync"),
    ),
    Row(
        "misses_singly",
        "one miss a call, without fsync",
        "µs",
        "",
        lambda m: True,
        measure_singly,
        environment=NO_FSYNC,
    ),
]
