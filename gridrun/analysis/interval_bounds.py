"""Interval bound propagation on weights: what a network's logits can be while its parameters lie in a box.

The box is |theta' - theta| <= size |theta|, for every parameter on its own. From layer to layer each number gets a
least and a largest value (Gowal and others, "On the effectiveness of interval bound propagation", 2018; on weights:
Weng and others, "Towards certificated model robustness against weight perturbations", AAAI 2020). No network of the
box leaves them; most boxes of outputs are much too large, since each number is bounded as if it were alone.

What is guaranteed: an image that is proven right is classified as labelled by every network of the box, in exact
arithmetic (see `boxes` for the rounding of the bounds themselves, and for networks computed in float32).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.cnn import CNN
from ..nn.lsnn import LSNN
from .boxes import DOUBLE, Box, affine, around, point
from .spiking_bounds import rates

BATCH_SIZES = {CNN: 20, LSNN: 100}  # what a processor's cache holds; the bounds are those of each image alone


@dataclass(frozen=True)
class Bounds:
    """`logits` (images, classes), and `margins` (images, classes): the label's logit less the class's is never below
    it; infinite for the label itself."""

    logits: Box
    margins: Tensor

    @property
    def verified(self) -> Tensor:
        """True for each image (images,) that every network of the box classifies as labelled."""
        return (self.margins > 0).all(1)

    @property
    def widths(self) -> Tensor:
        """By how much each logit (images, classes) can change within the box, at most."""
        return self.logits.high - self.logits.low


@torch.no_grad()
def bounds(model: nn.Module, images: Tensor, labels: Tensor, size: float, unit_roundoff: float = DOUBLE) -> Bounds:
    """Bounds over all networks within `size`, relative to each parameter of `model`: a CNN or an LSNN.

    Raises ValueError for other networks, for a CNN that standardises by batches, and for a size below 0.
    """
    if not size >= 0:
        raise ValueError(f"size={size!r}: want 0 or more, relative to each parameter")
    last_inputs, weight, bias = _known(model)
    last = around(weight, size), around(bias, size)
    batches = zip(*(t.split(BATCH_SIZES[type(model)]) for t in (images, labels)), strict=True)
    parts = [_last(last_inputs(model, x, size, unit_roundoff), *last, y, unit_roundoff) for x, y in batches]
    logits = Box(*(torch.cat(ends) for ends in zip(*(part.logits for part in parts), strict=True)))
    return Bounds(logits, torch.cat([part.margins for part in parts]))


LastInputs = Callable[[nn.Module, Tensor, float, float], Box]


def _known(model: nn.Module) -> tuple[LastInputs, Tensor, Tensor]:
    """How the inputs of the last layer are bounded, and that layer's weights (classes, inputs) and bias."""
    if type(model) is LSNN:
        return rates, model.W_out.t(), model.b_out
    if type(model) is not CNN:
        raise ValueError(f"no interval bounds for a {type(model).__name__}: there are some for CNN and LSNN")
    if model.batch_standardize:
        raise ValueError("batch_standardize=True: an image's logits depend on its batch, so no bound is that image's")
    return _cnn_features, model.dense[-1].weight, model.dense[-1].bias


def _cnn_features(model: CNN, images: Tensor, size: float, unit_roundoff: float) -> Box:
    """What comes to the last layer of a CNN, (images, features)."""

    def through(x: Box, layer: nn.Module, multiply: Callable[[Tensor, Tensor], Tensor]) -> Box:
        bias = around(layer.bias.view(-1, *[1] * (x.low.dim() - 2)), size)
        box, slack = affine(x, around(layer.weight, size), bias, multiply, unit_roundoff)
        return box.widened(slack)

    x = point(images)
    for convolution, (before, after) in zip(model.convolutions, model.padding, strict=True):
        x = Box(*(F.pad(end, (before, after, before, after)) for end in x))
        x = through(x, convolution, F.conv2d).map(lambda t: F.relu(F.max_pool2d(t, 2)))
    x = x.map(lambda t: t.flatten(1))
    for layer in model.dense[:-1]:
        x = through(x, layer, F.linear).map(F.relu)
    return x


def _last(x: Box, weight: Box, bias: Box, labels: Tensor, unit_roundoff: float) -> Bounds:
    """The last layer, where the difference of two logits is bounded as one sum over the same inputs."""
    logits, slack = affine(x, weight, bias, F.linear, unit_roundoff)
    margins = torch.empty_like(slack)
    for label in labels.unique().tolist():
        rows = labels == label
        less_weight, less_bias = (Box(t.low[label] - t.high, t.high[label] - t.low) for t in (weight, bias))
        box, _ = affine(Box(x.low[rows], x.high[rows]), less_weight, less_bias, F.linear, unit_roundoff)
        margins[rows] = box.low - slack[rows] - slack[rows, label, None]
        margins[rows, label] = torch.inf
    return Bounds(logits.widened(slack), margins)
