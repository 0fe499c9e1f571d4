"""Sharpness-aware minimisation: SAM (Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, equation 2) and ASAM (Kwon, Kim,
Park, Choi, ICML 2021, equation 3).

One step up along the gradient g at theta, of l2 length rho over all parameters together; the gradient there is
applied to theta:

    SAM    change = rho g / ||g||_2
    ASAM   change = rho T^2 g / ||T g||_2,    T = |theta| + 0.01, so that rho is relative to each parameter

T takes in every trainable tensor, biases included. A step costs 2 standard steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .adversarial import Theta
from .batch import Batch
from .displacement import check_above_zero, plus, total_norm

ETA = 0.01  # added to |theta|, ASAM section 4: a parameter at zero still moves


@dataclass(frozen=True)
class SAM:
    """The gradient one step of length `rho` up the slope; `adaptive` is ASAM."""

    rho: float = 0.05
    adaptive: bool = False

    def __post_init__(self) -> None:
        check_above_zero(sam_rho=self.rho)

    def moved(self, batch: Batch, theta: Mapping[str, Tensor], generator: torch.Generator) -> tuple[Batch, Theta]:
        """The batch as it is, and theta one step up. Nothing is drawn."""
        return batch, plus(theta, ascent(theta, batch.gradient(theta), self.rho, self.adaptive))


def ascent(theta: Mapping[str, Tensor], gradient: Mapping[str, Tensor], rho: float, adaptive: bool) -> Theta:
    """The change by which theta goes up.

    >>> g = {"w": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    >>> up = ascent(g, g, rho=0.5, adaptive=False)
    >>> round(up["w"].item(), 6), round(up["b"].item(), 6)
    (0.3, 0.4)
    """
    if not adaptive:
        length = total_norm(gradient)
        return {name: rho / length * g for name, g in gradient.items()}
    scale = {name: theta[name].detach().abs() + ETA for name in gradient}
    length = total_norm({name: scale[name] * g for name, g in gradient.items()})
    return {name: rho / length * scale[name].square() * g for name, g in gradient.items()}
