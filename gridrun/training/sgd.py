"""Stochastic gradient descent, with no momentum: it remembers nothing but the count of its updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .adversarial import GradientList, Theta


@dataclass
class SGD:
    """theta <- theta - learning_rate * gradient."""

    n_updates: int = 0

    @classmethod
    def at(cls, theta: Mapping[str, Tensor]) -> SGD:
        return cls()

    @property
    def memory(self) -> dict[str, Theta]:
        return {}

    def resumed(self, memory: Mapping[str, Theta], n_updates: int) -> SGD:
        return replace(self, n_updates=n_updates)

    @torch.no_grad()
    def step(
        self, theta: Mapping[str, Tensor], gradient: GradientList, learning_rate: float, generator: torch.Generator
    ) -> None:
        """Change `theta` in place.

        >>> theta = {"w": torch.tensor([1.0])}
        >>> SGD().step(theta, lambda theta: [2 * theta["w"]], 0.25, torch.Generator())
        >>> theta["w"].item()
        0.5
        """
        for tensor, g in zip(theta.values(), gradient(theta), strict=True):
            tensor.sub_(g, alpha=learning_rate)
        self.n_updates += 1
