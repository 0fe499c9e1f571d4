"""Accuracy of a network at given parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Fraction of images whose largest logit is their label's, in 0..1.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), torch.tensor([0, 1, 1]))
    0.6666666666666666
    """
    return int((logits.argmax(1) == labels).sum()) / len(labels)


@torch.no_grad()
def logits_at(model: nn.Module, theta: Mapping[str, Tensor], images: Tensor, batch_size: int = 250) -> Tensor:
    """Logits (images, classes) at `theta`, the images in batches."""
    parts = [functional_call(model, dict(theta), (batch,)) for batch in images.split(batch_size)]
    return torch.cat(parts)


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's trainable tensors by name, detached copies: the theta that the other functions take."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
