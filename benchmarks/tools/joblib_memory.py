"""joblib.Memory: a folder with two files for each result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def keep(function: Callable[..., Any], folder: Path) -> Callable[[Sequence[dict[str, Any]]], list[Any]]:
    """Memory.cache() of a function, called point by point."""
    import joblib

    cached = joblib.Memory(folder, verbose=0).cache(function)
    return lambda points: [cached(**point) for point in points]
