"""Functions that the tests of dispatch send somewhere."""

from __future__ import annotations

import os

from gridrun import cachable


@cachable()
def square(x: int) -> int:
    if path := os.environ.get("CALLS"):
        with open(path, "a") as calls:
            calls.write(f"{x}\n")
    if x == 13:
        raise ValueError("unlucky")
    return x * x


@cachable(dependencies=["point:x"])
def of_point(point: dict) -> int:
    assert "launch_settings" not in point
    return point["x"] + 1


@cachable()
def hungry(x: int) -> int:
    raise MemoryError(f"no room for {x}")
