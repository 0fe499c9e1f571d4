"""Device mismatch: every trainable scalar scaled at random, theta (1 + zeta n) with n ~ N(0, 1), biases
included. Parameters that a network names in `spared` stay (batch normalisation's, in ResNet32).

Buechel, Faber, Muir (ICLR 2022). The level zeta is relative: 0.3 is a standard deviation of 30 % of each
weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..training.adversarial import Theta, normal_like
from ..training.evaluation import batches_of, perturbed_of
from ..training.seeding import generator


def scaled(theta: Mapping[str, Tensor], level: float, draw: torch.Generator) -> Theta:
    """theta (1 + level n), drawn tensor by tensor in the order of the names in `theta`.

    >>> scaled({"w": torch.tensor([0.0, 1.0])}, 0.0, torch.Generator())["w"].tolist()
    [0.0, 1.0]
    """
    return {name: tensor * (1 + normal_like(tensor, level, draw)) for name, tensor in theta.items()}


@contextmanager
def mismatched(model: nn.Module, level: float, draw: torch.Generator) -> Iterator[nn.Module]:
    """The model under one draw of mismatch; it gets its exact old bits back, also when the block raises."""
    parameters, old = dict(model.named_parameters()), perturbed_of(model)
    try:
        with torch.no_grad():
            for name, tensor in scaled(old, level, draw).items():
                parameters[name].copy_(tensor)
        yield model
    finally:
        with torch.no_grad():
            for name, tensor in old.items():
                parameters[name].copy_(tensor)


@torch.no_grad()
def accuracy_under_mismatch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    level: float,
    n_repeats: int = 100,
    seed: int = 0,
    batch_size: int | None = None,
    chunk: int = 1,
) -> np.ndarray:
    """Accuracy in 0..1 of each of `n_repeats` draws, shape (n_repeats,).

    Draw i has its own random stream (seed, i), so the numbers depend neither on how many there are nor on how they are
    grouped: one after the other (`chunk` 1, best for convolutions), or `chunk` of them at once by vmap, which pays for
    small recurrent networks. Images go in batches of `batch_size` (see `evaluation.batches_of`).
    """
    theta = perturbed_of(model)
    draws = [range(n_repeats)[i : i + chunk] for i in range(0, n_repeats, chunk)]
    correct = [_correct(model, theta, images, labels, level, seed, draw, batch_size) for draw in draws]
    return np.concatenate(correct or [np.zeros(0)]) / len(labels)


def _correct(
    model: nn.Module,
    theta: Theta,
    images: Tensor,
    labels: Tensor,
    level: float,
    seed: int,
    draws: range,
    batch_size: int | None,
) -> np.ndarray:
    """Number of right answers of each draw."""
    networks = [scaled(theta, level, generator(seed, "mismatch", i)) for i in draws]
    forward = vmap(lambda weights, x: functional_call(model, weights, (x,)), in_dims=(0, None))
    stacked = {k: torch.stack([network[k] for network in networks]) for k in theta} if len(draws) > 1 else {}
    total = torch.zeros(len(draws), dtype=torch.long)
    parts = batches_of(images, batch_size)
    for x, y in zip(parts, labels.split(len(parts[0])), strict=True):
        logits = forward(stacked, x) if stacked else functional_call(model, networks[0], (x,)).unsqueeze(0)
        total += (logits.argmax(2) == y).sum(1).cpu()
    return total.numpy()
