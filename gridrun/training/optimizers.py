"""The table of optimisers, and what each of them offers.

An optimiser sees the parameters and a function that gives the gradient at any parameters, since some take several
gradients a step. What it remembers between steps is tensors shaped as the parameters, by name, and a count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from .abcd import ABCD
from .adam import Adam
from .adversarial import GradientList, Theta
from .entropy_sgd import EntropySGD
from .sgd import SGD


class Optimizer(Protocol):
    """What the training loop needs of an optimiser."""

    @property
    def n_updates(self) -> int:
        """Updates so far."""

    @property
    def memory(self) -> dict[str, Theta]:
        """What it remembers: groups of tensors, each shaped as the parameters."""

    def resumed(self, memory: Mapping[str, Theta], n_updates: int) -> Optimizer:
        """The same settings, with what another remembered."""

    def step(
        self, theta: Mapping[str, Tensor], gradient: GradientList, learning_rate: float, generator: torch.Generator
    ) -> None:
        """Change `theta` in place; `gradient` gives the gradients in the order of its keys."""


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": Adam.at,
    "sgd": SGD.at,
    "esgd": EntropySGD.at,
    "abcd": ABCD.at,
}


def optimizer(name: str, theta: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Optimizer:
    """The optimiser of that name, without history; an unknown name is an error that lists the table."""
    if name not in OPTIMIZERS:
        raise ValueError(f"no optimizer {name!r}; there are {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](theta, **settings)
