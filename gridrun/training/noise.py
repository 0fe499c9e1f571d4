"""Forward noise: the loss is taken at randomly scaled parameters, its gradient applied to the clean ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .adversarial import Theta, normal_like


def noisy(theta: Mapping[str, Tensor], std: float, generator: torch.Generator) -> Theta:
    """theta + stop_gradient(|theta| std n), n ~ N(0, 1) per scalar, drawn afresh at each call (each batch).

    `std` is relative, as the mismatch level is (Joshi et al. 2020; Murray and Edwards 1994).

    >>> w = torch.tensor([0.0, 2.0], requires_grad=True)
    >>> noisy({"w": w}, 0.3, torch.Generator().manual_seed(0))["w"].sum().backward()
    >>> w.grad.tolist()  # the noise adds nothing to the derivative, and a zero stays zero
    [1.0, 1.0]
    """
    return {k: v + v.detach().abs() * normal_like(v, std, generator) for k, v in theta.items()}
