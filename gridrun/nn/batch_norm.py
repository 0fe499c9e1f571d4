"""Batch normalisation in a network whose parameters are arguments: batch statistics in training, then settled ones.

Training (`model.train()`) normalises by the batch at hand and remembers nothing, so a step depends on the parameters
and the batch alone. Before a network is judged, `settle` takes the statistics at its parameters over training images:
the "precise" ones of Wu and Johnson ("Rethinking Batch in BatchNorm", 2021), in place of running averages that lag
behind the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..training.seeding import generator

N_IMAGES = 5000  # that the statistics are taken over
BATCH_SIZE = 500


def forget(model: nn.Module) -> None:
    """From now on the model's layers normalise by their batch in training, and remember nothing of it."""
    for norm in layers(model).values():
        norm.momentum = 0.0


def layers(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The layers of batch normalisation, by name.

    >>> list(layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))))
    ['1']
    """
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}


def parameter_names(model: nn.Module) -> frozenset[str]:
    """The names of the parameters of batch normalisation.

    >>> sorted(parameter_names(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))))
    ['1.bias', '1.weight']
    """
    return frozenset(f"{name}.{own}" for name, norm in layers(model).items() for own, _ in norm.named_parameters())


@torch.no_grad()
def settle(model: nn.Module, theta: Mapping[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    """Set the statistics of a model to those at `theta`, and put it in its mode for evaluation.

    They are the means over batches of 500 of up to 5,000 images (n, channels, height, width), drawn once and for all,
    since a data set may be sorted by class. Returns them by name, as the model's `state_dict` has them: nothing for a
    model without batch normalisation.
    """
    norms = layers(model)
    if norms:
        model.train()
        for norm in norms.values():
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
        for batch in equal_batches(images[drawn(len(images))]):
            functional_call(model, dict(theta), (batch,))
        forget(model)
    model.eval()
    return {f"{name}.{own}": tensor.clone() for name, norm in norms.items() for own, tensor in norm.named_buffers()}


def drawn(n: int) -> Tensor:
    """Places of up to 5,000 of `n` images, in random order, the same at every call.

    >>> len(drawn(60_000)), sorted(drawn(3).tolist())
    (5000, [0, 1, 2])
    """
    return torch.randperm(n, generator=generator(0, "statistics of batch normalisation"))[:N_IMAGES]


def equal_batches(images: Tensor) -> tuple[Tensor, ...]:
    """Batches of `BATCH_SIZE` without the rest, or all images where there are fewer.

    >>> [len(batch) for batch in equal_batches(torch.zeros(1200, 1))], len(equal_batches(torch.zeros(9, 1))[0])
    ([500, 500], 9)
    """
    size = min(BATCH_SIZE, len(images))
    return images[: len(images) // size * size].split(size)
