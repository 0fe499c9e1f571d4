"""The plain fault campaign: set the fault, run all images, restore. What faster ways are compared with, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .injection import injected
from .verdicts import Counts, counts
from .weight_fault import WeightFault


def naive_counts(
    model: nn.Module,
    images: Tensor,
    faults: Iterable[WeightFault],
    batch_size: int = 64,
    labels: Tensor | None = None,
    fmt: str = "fp32",
) -> Iterator[Counts]:
    """The counts of each fault over all images, in the order of the faults.

    The model is in eval mode meanwhile, and has its own bits between two faults. Images (n, ...) are moved to its
    device batch by batch.
    """
    with evaluating(model):
        golden = logits_of(model, images, batch_size)
        for fault in faults:
            with injected(model, fault, fmt):
                logits = logits_of(model, images, batch_size)
            yield counts(golden, logits, labels)


@torch.no_grad()
def logits_of(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    """Logits (images, classes), batch by batch."""
    device = next(model.parameters()).device
    return torch.cat([model(batch.to(device)) for batch in images.split(batch_size)])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in eval mode; each of its modules gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, mode in modes.items():
            module.training = mode
