"""Adam over a dictionary of parameters (Kingma and Ba, ICLR 2015).

Its state is plain tensors and a count, so a checkpoint is a dictionary; the numbers are those of
torch.optim.Adam (a test compares them), whose first use would import torch's compiler, a second and a half in
every worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .adversarial import GradientList, Theta


@dataclass
class Adam:
    """First and second moments of each parameter's gradient, and how many updates they have seen."""

    mean: Theta
    square: Theta
    n_updates: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    @classmethod
    def at(cls, theta: Mapping[str, Tensor]) -> Adam:
        """No history yet, for parameters shaped as `theta`."""
        mean, square = ({k: torch.zeros_like(v.detach()) for k, v in theta.items()} for _ in range(2))
        return cls(mean, square)

    @property
    def memory(self) -> dict[str, Theta]:
        return {"mean": self.mean, "square": self.square}

    def resumed(self, memory: Mapping[str, Theta], n_updates: int) -> Adam:
        return replace(self, mean=memory["mean"], square=memory["square"], n_updates=n_updates)

    def step(
        self, theta: Mapping[str, Tensor], gradient: GradientList, learning_rate: float, generator: torch.Generator
    ) -> None:
        """Change `theta` in place by one step along the gradient there; nothing is drawn."""
        self.update(theta, gradient(theta), learning_rate)

    @torch.no_grad()
    def update(self, theta: Mapping[str, Tensor], gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Change `theta` in place by one step along `gradients` (in the order of its keys).

        >>> theta = {"w": torch.tensor([1.0])}
        >>> Adam.at(theta).update(theta, [torch.tensor([5.0])], learning_rate=0.1)
        >>> round(theta["w"].item(), 6)  # the first step has the size of the learning rate
        0.9
        """
        self.n_updates += 1
        b1, b2 = self.betas
        unbias1, unbias2 = 1 - b1**self.n_updates, 1 - b2**self.n_updates
        for (name, tensor), g in zip(theta.items(), gradients, strict=True):
            self.mean[name].lerp_(g, 1 - b1)
            self.square[name].mul_(b2).addcmul_(g, g, value=1 - b2)
            denominator = self.square[name].sqrt().div_(unbias2**0.5).add_(self.eps)
            tensor.addcdiv_(self.mean[name], denominator, value=-learning_rate / unbias1)
