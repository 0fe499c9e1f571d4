"""Accuracy of a network at given parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

F = TypeVar("F", bound=Callable[..., Any])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Fraction of images whose largest logit is their label's, in 0..1.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), torch.tensor([0, 1, 1]))
    0.6666666666666666
    """
    return int((logits.argmax(1) == labels).sum()) / len(labels)


def batches_of(images: Tensor, batch_size: int | None = None) -> tuple[Tensor, ...]:
    """Images (or labels, with a size) in batches: of `batch_size`, or of about 128,000 pixels, 100 images at least.

    Small images go through many at once, where the time of a call counts; large ones stay within a processor's cache.

    >>> [len(b) for b in batches_of(torch.zeros(400, 1, 28, 28))]
    [163, 163, 74]
    """
    size = batch_size or max(100, 128_000 // max(1, images[0].numel()))
    return images.split(size)


@contextmanager
def judged(model: nn.Module) -> Iterator[None]:
    """The model in its mode for evaluation (no dropout, settled statistics), then in the mode that it had.

    >>> model = nn.Dropout()
    >>> with judged(model):
    ...     model.training
    False
    >>> model.training
    True
    """
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def judging(function: F) -> F:
    """`function`, whose first argument is a model, run with that model `judged`."""

    @functools.wraps(function)
    def inside(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with judged(model):
            return function(model, *args, **kwargs)

    return inside  # type: ignore[return-value]


@torch.no_grad()
def logits_at(model: nn.Module, theta: Mapping[str, Tensor], images: Tensor, batch_size: int | None = None) -> Tensor:
    """Logits (images, classes) at `theta`, the images in batches (see `batches_of`), or in those of the model."""
    size = batch_size or batch_of(model)
    return torch.cat([functional_call(model, dict(theta), (x,)) for x in batches_of(images, size)])


def batch_of(model: nn.Module) -> int | None:
    """Images in a batch where the model says so in `evaluation_batch`, since its outputs hang on what else is there."""
    return getattr(model, "evaluation_batch", None)


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's trainable tensors by name, detached copies: the theta that the other functions take."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def spared_by(model: nn.Module) -> frozenset[str]:
    """The names of the parameters that noise and attacks leave alone: the model's `spared`, none for most."""
    return getattr(model, "spared", frozenset())


def parted(theta: Mapping[str, Tensor], spared: frozenset[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters that noise and attacks may move, and those spared.

    >>> parted({"w": torch.zeros(1), "bn": torch.ones(1)}, frozenset({"bn"}))
    ({'w': tensor([0.])}, {'bn': tensor([1.])})
    """
    free = {name: tensor for name, tensor in theta.items() if name not in spared}
    return free, {name: tensor for name, tensor in theta.items() if name in spared}


def perturbed_of(model: nn.Module) -> dict[str, Tensor]:
    """The parameters (as `parameters_of`) that noise and attacks may move; the others stay the model's own."""
    return parted(parameters_of(model), spared_by(model))[0]
