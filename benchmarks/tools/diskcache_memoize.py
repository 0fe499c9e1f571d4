"""diskcache: one SQLite data base, and a file for each large value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def keep(function: Callable[..., Any], folder: Path) -> Callable[[Sequence[dict[str, Any]]], list[Any]]:
    """Cache.memoize() of a function, called point by point."""
    import diskcache

    cached = diskcache.Cache(folder, size_limit=1 << 40).memoize()(function)
    return lambda points: [cached(**point) for point in points]
