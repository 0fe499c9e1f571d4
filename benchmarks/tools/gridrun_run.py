"""gridrun, templates and binding included: run(points, function)("{seed}", "{level}", ...)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Point = dict[str, Any]


def keep(
    function: Callable[..., Any], folder: Path, templates: Sequence[str] | None = None, **options: Any
) -> Callable[[Sequence[Point]], list[Any]]:
    """run() of a cachable function, its arguments filled from each point by name."""
    from gridrun import cachable, run

    cached = cachable(**options)(function)
    texts = templates or ["{" + name + "}" for name in inspect.signature(function).parameters]
    return lambda points: run(points, cached, cache_dir=str(folder))(*texts)
