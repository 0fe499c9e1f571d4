"""Adversarial block coordinate descent (Cicek and Soatto, "Input and Weight Space Smoothing for Semi-supervised
Learning", ICCV workshops 2019).

`n_inner` times a batch: a random half A of the parameters, drawn afresh, goes up the slope by ascent_rate times the
gradient, with a small rate, and stays there; then the other half B goes down, along the gradient at the new place.
The descent is Adam's, as in the study of Buechel, Faber and Muir (ICLR 2022; the code's abcd_L and abcd_etaA), so
that A's past gradients still move it, and Adam counts each descent as an update. A step costs 2 n_inner standard
steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .adam import Adam
from .adversarial import GradientList, Theta
from .displacement import check_above_zero


@dataclass
class ABCD:
    """Half of the parameters up, the other half down, `n_inner` times a batch."""

    adam: Adam
    n_inner: int = 2
    ascent_rate: float = 1e-3

    @classmethod
    def at(cls, theta: Mapping[str, Tensor], n_inner: int = 2, ascent_rate: float = 1e-3) -> ABCD:
        check_above_zero(abcd_L=n_inner, abcd_etaA=ascent_rate)
        return cls(Adam.at(theta), n_inner, ascent_rate)

    @property
    def n_updates(self) -> int:
        return self.adam.n_updates

    @property
    def memory(self) -> dict[str, Theta]:
        return self.adam.memory

    def resumed(self, memory: Mapping[str, Theta], n_updates: int) -> ABCD:
        return replace(self, adam=self.adam.resumed(memory, n_updates))

    @torch.no_grad()
    def step(
        self, theta: Mapping[str, Tensor], gradient: GradientList, learning_rate: float, generator: torch.Generator
    ) -> None:
        """Change `theta` in place; the halves are drawn from `generator`."""
        for _ in range(self.n_inner):
            up = [_half(tensor, generator) for tensor in theta.values()]
            for tensor, mask, g in zip(theta.values(), up, gradient(theta), strict=True):
                tensor.addcmul_(mask, g, value=self.ascent_rate)
            down = [(1 - mask) * g for mask, g in zip(up, gradient(theta), strict=True)]
            self.adam.update(theta, down, learning_rate)


def _half(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """1 or 0 for each element, with equal chances."""
    return (torch.rand(tensor.shape, generator=generator) < 0.5).to(tensor)
