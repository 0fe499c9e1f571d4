"""Device mismatch: every trainable scalar scaled at random, theta (1 + zeta n) with n ~ N(0, 1), biases
included. Parameters that a network names in `spared` stay (batch normalisation's, in ResNet32).

Buechel, Faber, Muir (ICLR 2022). The level zeta is relative: 0.3 is a standard deviation of 30 % of each
weight. Noise of one size for all parameters, theta + zeta n, is that of the paper's figure S4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ..training.adversarial import Theta, normal_like
from ..training.evaluation import batch_of, batches_of, judging, perturbed_of
from ..training.seeding import generator
from .several import AT_ONCE, logits_of_all, quickest


def scaled(theta: Mapping[str, Tensor], level: float, draw: torch.Generator) -> Theta:
    """theta (1 + level n), drawn tensor by tensor in the order of the names in `theta`; ValueError for a level below 0.

    >>> scaled({"w": torch.tensor([0.0, 1.0])}, 0.0, torch.Generator())["w"].tolist()
    [0.0, 1.0]
    """
    _check(level)
    return {name: tensor * (1 + normal_like(tensor, level, draw)) for name, tensor in theta.items()}


def shifted(theta: Mapping[str, Tensor], std: float, draw: torch.Generator) -> Theta:
    """theta + std n, drawn as in `scaled`; ValueError for a std below 0.

    >>> shifted({"w": torch.tensor([0.0, 1.0])}, 0.0, torch.Generator())["w"].tolist()
    [0.0, 1.0]
    """
    _check(std)
    return {name: tensor + normal_like(tensor, std, draw) for name, tensor in theta.items()}


def _check(level: float) -> None:
    if not 0 <= level < float("inf"):
        raise ValueError(f"noise of size {level!r}: want a number, 0 or more")


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
@judging
def accuracy_under_mismatch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    level: float,
    n_repeats: int = 100,
    seed: int = 0,
    batch_size: int | None = None,
    chunk: int | None = 1,
    is_relative: bool = True,
) -> np.ndarray:
    """Accuracy in 0..1 of each of `n_repeats` draws, shape (n_repeats,).

    Draw i has its own random stream (seed, i), so the numbers depend neither on how many there are nor on how they are
    grouped: one after the other (`chunk` 1, best for convolutions), or `chunk` of them at once by vmap, which pays for
    small recurrent networks; None chooses by a short probe (see `several.quickest`). Images go in batches of
    `batch_size`, or as in `evaluation.logits_at`. The noise is relative to each parameter, or of one size for all.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk={chunk!r}: want 1 or more draws at once, or None for a probe")
    if n_repeats < 0:
        raise ValueError(f"n_repeats={n_repeats!r}: want 0 or more")
    theta, noise = perturbed_of(model), scaled if is_relative else shifted
    batch_size = batch_size or batch_of(model)

    def networks(draws: range) -> list[Theta]:
        return [noise(theta, level, generator(seed, "mismatch", i)) for i in draws]

    if chunk is None:
        chunk, batch_size = quickest(model, networks(range(min(n_repeats, AT_ONCE))), images, batch_size)
    draws = [range(n_repeats)[i : i + chunk] for i in range(0, n_repeats, chunk)]
    correct = [_correct(model, networks(some), images, labels, batch_size) for some in draws]
    return np.concatenate(correct or [np.zeros(0)]) / len(labels)


def _correct(
    model: nn.Module, networks: list[Theta], images: Tensor, labels: Tensor, batch_size: int | None
) -> np.ndarray:
    """Number of right answers of the model at each of these parameters."""
    total = torch.zeros(len(networks), dtype=torch.long)
    parts = batches_of(images, batch_size)
    for x, y in zip(parts, labels.split(len(parts[0])), strict=True):
        total += (logits_of_all(model, networks, x).argmax(2) == y).sum(1).cpu()
    return total.numpy()
