"""Methods that take the gradient at parameters moved away from theta, and apply it to theta: AWP, AMP, SAM.

Each has `moved(batch, theta, generator)`, which gives the batch (its inputs possibly attacked) and the moved
parameters theta + stop_gradient(change), so that the derivative by theta is the gradient there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from .adversarial import Theta
from .batch import Batch


class Displacement(Protocol):
    """Where a method takes the gradient."""

    def moved(self, batch: Batch, theta: Mapping[str, Tensor], generator: torch.Generator) -> tuple[Batch, Theta]:
        """The batch, and theta with the method's change, which has no derivative."""


def plus(theta: Mapping[str, Tensor], change: Mapping[str, Tensor], factor: float = 1.0) -> Theta:
    """theta + stop_gradient(factor * change).

    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> moved = plus({"w": w}, {"w": 3 * w}, 0.5)["w"]
    >>> moved.item(), torch.autograd.grad(moved.sum(), w)[0].item()
    (2.5, 1.0)
    """
    return {name: tensor + factor * change[name].detach() for name, tensor in theta.items()}


def total_norm(tensors: Mapping[str, Tensor]) -> Tensor:
    """The l2 norm of all tensors together, never below the smallest normal number.

    >>> total_norm({"w": torch.tensor([3.0]), "b": torch.tensor([4.0])}).item()
    5.0
    """
    norms = torch.stack([torch.linalg.vector_norm(tensor) for tensor in tensors.values()])
    return torch.linalg.vector_norm(norms).clamp(min=torch.finfo(norms.dtype).tiny)


def check_above_zero(**sizes: float) -> None:
    """Raise ValueError, naming it, for a size that is not above 0."""
    for name, value in sizes.items():
        if not value > 0:
            raise ValueError(f"{name}={value!r}: want a number above 0")
