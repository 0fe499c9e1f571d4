"""An argument of 100 MB that is itself a stored result: a model handed on to its evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import tools
from ..clock import typical
from ..row import Measured, Row
from .array import OWN_KEY, N
from .points import refuse_when_cached


def weights(seed: int) -> Any:
    """A large tensor."""
    refuse_when_cached()
    import torch

    return torch.arange(seed, seed + N, dtype=torch.float32)


def norm(x: Any) -> float:
    """Of a large tensor."""
    refuse_when_cached()
    return float(x.norm())


def prepare(tool: str, folder: Path) -> None:
    module = tools.load(tool)
    loaded = _stored(module, folder)
    module.keep(norm, folder / "norm")([{"x": loaded}])


def _stored(module: Any, folder: Path) -> Any:
    folder.joinpath("norm").mkdir(exist_ok=True)
    return module.keep(weights, folder / "weights")([{"seed": 1}])[0]


def measure(tool: str, folder: Path) -> Measured:
    module = tools.load(tool)
    loaded = _stored(module, folder)
    many = module.keep(norm, folder / "norm")
    twin = loaded.reshape(2, -1).clone().reshape(-1)
    equal = _is_found(many, loaded) and _is_found(many, twin)
    took = typical(lambda: _is_found(many, loaded))
    note = "" if equal else "looks, and computes again: equal tensors have different keys"
    return took.measured(1e6, equal=equal, note=note)


def _is_found(many: Any, tensor: Any) -> bool:
    """Whether the result of a tensor is answered from the store (the function itself refuses here)."""
    try:
        many([{"x": tensor}])
    except RuntimeError:
        return False
    return True


ROWS = [
    Row(
        "tensor",
        "the same as a tensor that came from the store",
        "µs",
        "under 50 µs; equal tensors, equal keys",
        lambda m: m["value"] < 50 and m["equal"],
        measure,
        prepare,
        peers=("joblib", "diskcache", "cachier"),
        absent=OWN_KEY,
    )
]
