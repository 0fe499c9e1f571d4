"""cachier with a file for each result (its default, one pickle for all of them, is slower still)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def keep(function: Callable[..., Any], folder: Path) -> Callable[[Sequence[dict[str, Any]]], list[Any]]:
    """cachier() of a function, called point by point."""
    import cachier

    cached = cachier.cachier(cache_dir=folder, separate_files=True)(function)
    return lambda points: [cached(**point) for point in points]
