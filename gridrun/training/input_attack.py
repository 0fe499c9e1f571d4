"""Inputs moved against the network: projected gradient ascent in an l_inf ball (Madry et al., ICLR 2018).

As adversarial weight perturbation uses it in Buechel, Faber and Muir (ICLR 2022), with the names of their code: a
start drawn uniformly from the ball of radius eps_pga, then nb_iter steps of eps_pga / nb_iter along the sign of the
gradient of the cross entropy, each followed by a projection onto the ball. Inputs are not cut to a range of pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from .batch import Batch


def attacked_inputs(
    batch: Batch, theta: Mapping[str, Tensor], eps_pga: float, nb_iter: int, generator: torch.Generator
) -> Tensor:
    """Inputs at most `eps_pga` away from the batch's, of their shape, detached."""
    fixed = {name: tensor.detach() for name, tensor in theta.items()}
    change = _uniform_like(batch.inputs, eps_pga, generator)
    for _ in range(nb_iter):
        g = _gradient(batch, fixed, batch.inputs + change)
        change = (change + eps_pga / nb_iter * g.sign()).clamp(-eps_pga, eps_pga)
    return batch.inputs + change


def _gradient(batch: Batch, theta: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        logits = replace(batch, inputs=leaf).logits(theta)
        return torch.autograd.grad(F.cross_entropy(logits, batch.labels), leaf)[0]


def _uniform_like(tensor: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
    return ((2 * drawn - 1) * radius).to(tensor.device)
