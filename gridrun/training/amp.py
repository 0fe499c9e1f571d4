"""Adversarial model perturbation (Zheng, Zhang, Mao, "Regularizing Neural Networks via Adversarial Model
Perturbation", CVPR 2021, algorithm 1).

From change = 0, `n_steps` steps change <- change + lr * gradient(theta + change), each followed by a projection onto
the l2 ball of radius eps around theta, all parameters together; the gradient there is applied to theta.
A step costs n_steps + 1 standard steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .adversarial import Theta
from .batch import Batch
from .displacement import check_above_zero, plus, total_norm


@dataclass(frozen=True)
class AMP:
    """The gradient at the end of a climb in an l2 ball of absolute radius `eps`."""

    eps: float
    lr: float = 1.0
    n_steps: int = 1

    def __post_init__(self) -> None:
        check_above_zero(amp_eps=self.eps, amp_lr=self.lr, amp_steps=self.n_steps)

    def moved(self, batch: Batch, theta: Mapping[str, Tensor], generator: torch.Generator) -> tuple[Batch, Theta]:
        """The batch as it is, and theta at the end of the climb. Nothing is drawn."""
        change = {name: torch.zeros_like(tensor) for name, tensor in theta.items()}
        for _ in range(self.n_steps):
            g = batch.gradient(plus(theta, change))
            change = onto_ball({name: change[name] + self.lr * g[name] for name in change}, self.eps)
        return batch, plus(theta, change)


def onto_ball(change: Mapping[str, Tensor], radius: float) -> Theta:
    """Shortened to `radius` in the l2 norm of all tensors together, where longer.

    >>> shorter = onto_ball({"w": torch.tensor([3.0]), "b": torch.tensor([4.0])}, 1.0)
    >>> round(shorter["w"].item(), 6), round(shorter["b"].item(), 6)
    (0.6, 0.8)
    """
    factor = (radius / total_norm(change)).clamp(max=1.0)
    return {name: tensor * factor for name, tensor in change.items()}
