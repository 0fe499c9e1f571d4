"""Entropy-SGD (Chaudhari, Choromanska, Soatto, LeCun and others, ICLR 2017, algorithm 1): descent on the local entropy,
whose minima are wide.

In each step a walker starts at theta and does n_inner steps of Langevin dynamics, tied to theta by a spring:

    x <- x - eta (g(x) - gamma (theta - x)) + sqrt(eta) noise n,    n ~ N(0, 1)
    mean <- decay mean + (1 - decay) x                              decay = 1 - alpha of the paper

Then theta <- theta - learning_rate (theta - mean): the paper's factor gamma is within the learning rate, as it
advises. The spring grows ("scoping"): gamma = gamma_0 (1 + gamma_1)^t after t steps. With momentum, g(x) and
theta - mean go through Nesterov's, as in the paper's experiments; 0 is the algorithm as printed. Defaults are those of
Buechel, Faber and Muir's study (ICLR 2022). All steps of a walk see the same batch, as there. Learning rates are near
0.1, not Adam's. A step costs n_inner standard steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .adversarial import GradientList, Theta, normal_like
from .displacement import check_above_zero


@dataclass
class EntropySGD:
    """Momentum of theta, the count of steps, and the settings."""

    velocity: Theta
    n_updates: int = 0
    n_inner: int = 10
    gamma_0: float = 1e-2
    gamma_1: float = 1e-3
    eta: float = 0.1
    decay: float = 0.75
    noise: float = 1e-4
    momentum: float = 0.9

    @classmethod
    def at(cls, theta: Mapping[str, Tensor], **settings: float) -> EntropySGD:
        new = cls(_zeros(theta), **settings)  # type: ignore[arg-type]
        check_above_zero(esgd_L=new.n_inner, esgd_langevin_lr=new.eta)
        return new

    @property
    def memory(self) -> dict[str, Theta]:
        return {"velocity": self.velocity}

    def resumed(self, memory: Mapping[str, Theta], n_updates: int) -> EntropySGD:
        return replace(self, velocity=memory["velocity"], n_updates=n_updates)

    @torch.no_grad()
    def step(
        self, theta: Mapping[str, Tensor], gradient: GradientList, learning_rate: float, generator: torch.Generator
    ) -> None:
        """Change `theta` in place; the walk's noise is drawn from `generator`."""
        centre = {name: tensor.detach().clone() for name, tensor in theta.items()}
        mean = self._walk(theta, centre, gradient, generator)
        for name, tensor in theta.items():
            pull = self._nesterov(self.velocity[name], centre[name] - mean[name])
            tensor.copy_(centre[name] - learning_rate * pull)
        self.n_updates += 1

    def _walk(
        self,
        theta: Mapping[str, Tensor],
        centre: Mapping[str, Tensor],
        gradient: GradientList,
        generator: torch.Generator,
    ) -> Theta:
        """The walker's running mean; `theta` walks in place."""
        gamma = self.gamma_0 * (1 + self.gamma_1) ** self.n_updates
        mean, velocity = {name: tensor.clone() for name, tensor in centre.items()}, _zeros(centre)
        for _ in range(self.n_inner):
            for (name, x), g in zip(theta.items(), gradient(theta), strict=True):
                slope = self._nesterov(velocity[name], g) - gamma * (centre[name] - x)
                x.sub_(slope, alpha=self.eta).add_(normal_like(x, self.eta**0.5 * self.noise, generator))
                mean[name].mul_(self.decay).add_(x, alpha=1 - self.decay)
        return mean

    def _nesterov(self, velocity: Tensor, g: Tensor) -> Tensor:
        """The gradient with Nesterov's momentum; `velocity` is brought up to date."""
        velocity.mul_(self.momentum).add_(g)
        return g + self.momentum * velocity


def _zeros(theta: Mapping[str, Tensor]) -> Theta:
    return {name: torch.zeros_like(tensor.detach()) for name, tensor in theta.items()}
