"""One batch as a training step sees it: the network, its inputs and labels, and the step's dropout masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from .adversarial import Theta


@dataclass(frozen=True)
class Batch:
    """Inputs (batch, ...) and labels (batch,); `masks` are what the network's `dropout_masks` gave.

    `reg` weighs the firing-rate term of networks that have one: those whose forward takes `with_rates=True` and then
    gives (logits, rates), and that have `activity_loss(rates)`, a scalar. `rest` are the parameters that noise and
    attacks leave alone; the others are the theta that the functions take.
    """

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    masks: Any = None
    reg: float = 0.0
    rest: Mapping[str, Tensor] = field(default_factory=dict)

    def logits(self, theta: Mapping[str, Tensor]) -> Tensor:
        """Logits (batch, classes) at `theta`."""
        return functional_call(self.model, {**self.rest, **theta}, (self.inputs, self.masks))

    def loss(self, theta: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The training loss at `theta`, cross entropy and firing-rate term, and the logits."""
        if self.reg == 0 or not hasattr(self.model, "activity_loss"):
            logits = self.logits(theta)
            return F.cross_entropy(logits, self.labels), logits
        arguments = (self.inputs, self.masks)
        logits, rates = functional_call(self.model, {**self.rest, **theta}, arguments, {"with_rates": True})
        return F.cross_entropy(logits, self.labels) + self.reg * self.model.activity_loss(rates), logits

    def gradient(self, theta: Mapping[str, Tensor]) -> Theta:
        """d loss / d theta, detached: what the methods that climb the training loss follow."""
        with torch.enable_grad():
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in theta.items()}
            loss, _ = self.loss(leaves)
            return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
