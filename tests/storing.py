"""What tests of the store share: two cached functions, and ways to hurt files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from gridrun import cachable, open_store, split, store
from gridrun.store import Store

calls: list[Any] = []
GRID = split([{}], "a", [1, 2, 3])


@cachable()
def small(x: int) -> dict[str, int]:
    calls.append(x)
    return {"x": x}


@cachable()
def large(x: int) -> Any:
    calls.append(x)
    return np.full(2000, x)


def reopened(folder: Path) -> Store:
    """The store as another process sees it."""
    store._OPEN.clear()
    return open_store(folder)


def blobs(folder: Path) -> list[Path]:
    return sorted(folder.glob("objects/*/*"))


def flip(path: Path, at: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def age(path: Path, hours: float = 5) -> None:
    os.utime(path, (time.time() - 3600 * hours,) * 2)
