"""Forward noise: the loss is taken at randomly changed parameters, its gradient applied to the clean ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from .adversarial import Theta, normal_like

SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "ind": torch.abs,  # each parameter's own size
    "range": lambda tensor: (tensor.max() - tensor.min()) / 2,  # half the range of its tensor
}


def noisy(theta: Mapping[str, Tensor], std: float, generator: torch.Generator, scale: str = "ind") -> Theta:
    """theta + stop_gradient(s std n), n ~ N(0, 1) per scalar, drawn afresh at each call (each batch).

    scale "ind": s is |theta|, so `std` is relative as the mismatch level is (Murray and Edwards 1994); "range": s is
    half the range of the tensor, as where a tensor's largest weight sets the size of a device's noise (Joshi and
    others 2020).

    >>> w = torch.tensor([0.0, 2.0], requires_grad=True)
    >>> noisy({"w": w}, 0.3, torch.Generator().manual_seed(0))["w"].sum().backward()
    >>> w.grad.tolist()  # the noise adds nothing to the derivative, and a zero stays zero
    [1.0, 1.0]
    """
    size_of = SCALES[scale]
    return {k: v + size_of(v.detach()) * normal_like(v, std, generator) for k, v in theta.items()}


def check_scale(name: str) -> None:
    """Raise ValueError for a name that is none of `SCALES`."""
    if name not in SCALES:
        raise ValueError(f"no scale of noise {name!r}; there are {', '.join(SCALES)}")
