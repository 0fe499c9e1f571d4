"""What the benchmark of dispatch computes: nothing, for a stated time."""

from __future__ import annotations

import time

from gridrun import cachable


@cachable()
def nap(x: int, seconds: float, name: str) -> int:
    time.sleep(seconds)
    return x
