"""A fresh process asks for 100,000 results that are all stored."""

from __future__ import annotations

from pathlib import Path

from .. import tools
from ..clock import lap
from ..row import Measured, Row
from .points import grid, limited, score

N = 100_000


def prepare(tool: str, folder: Path) -> None:
    n, _ = limited(tool, N)
    tools.load(tool).keep(score, folder)(grid(n))


def measure(tool: str, folder: Path) -> Measured:
    n, note = limited(tool, N)
    points = grid(n)
    module = tools.load(tool)
    importing, _ = lap(lambda: tools.import_packages(tool))
    took, values = lap(lambda: module.keep(score, folder)(points))
    assert values == [p["seed"] + p["level"] for p in points]
    return took.measured(N / n, import_s=importing.wall, note=note)


ROWS = [
    Row(
        "hits",
        f"{N:,} cached points, fresh process, 3 small arguments",
        "s",
        "under 0.6 s and 150 MB",
        lambda m: m["value"] < 0.6 and m["peak_mb"] < 150,
        measure,
        prepare,
        reference="packed log",
    )
]
