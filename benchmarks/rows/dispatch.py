"""Handing short points to two processes: what each costs in a long run, without the start of the workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..clock import Lap, lap
from ..row import Measured, Row, under

FEW, MANY = 2_000, 42_000


def double(x: int) -> int:
    """As short as a point gets."""
    return 2 * x


def _gridrun() -> Callable[[int], Any]:
    from gridrun import run

    return lambda n: run([{"x": x} for x in range(n)], double, n_threads=2, backend="processes")("{x}")


def _joblib() -> Callable[[int], Any]:
    from joblib import Parallel, delayed

    return lambda n: Parallel(n_jobs=2)(delayed(double)(x) for x in range(n))


def _loky() -> Callable[[int], Any]:
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(2)
    return lambda n: list(pool.map(double, range(n), chunksize=100))


DISPATCHERS = {"gridrun": _gridrun, "joblib": _joblib, "loky, chunks of 100": _loky}


def measure(tool: str, folder: Path) -> Measured:
    dispatch = DISPATCHERS[tool]()
    dispatch(10)
    few, _ = lap(lambda: dispatch(FEW))
    many, values = lap(lambda: dispatch(MANY))
    assert values == [2 * x for x in range(MANY)]
    return Lap(many.wall - few.wall, many.cpu - few.cpu).measured(1e6 / (MANY - FEW))


ROWS = [
    Row(
        "dispatch",
        "local dispatch to 2 processes, a short point (joblib: Parallel)",
        "µs",
        "under 25 µs a point",
        under(25),
        measure,
        measures_memory=False,
        peers=("joblib",),
        reference="loky, chunks of 100",
    )
]
