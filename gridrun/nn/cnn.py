"""Convolutional classifiers: convolutions, each with ReLU and 2x2 max-pooling, then dense layers with ReLU.

Two forms are in use: the small one for 8x8 digits, and the one of Buechel, Faber and Muir (ICLR 2022) for
Fashion-MNIST:

>>> digits = CNN((1, 8, 8), 10, channels=(16, 32), kernel_size=3, padding=1, hidden=(128, 64))
>>> paper = CNN((1, 28, 28), 10, channels=(64, 64), kernel_size=4, padding=((2, 1), (0, 0)), hidden=(256, 64))
>>> sum(p.numel() for p in paper.parameters())
493642
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Padding = int | Sequence[int | Sequence[int]]
STANDARDIZED_BATCH = 100
DROPOUT_KINDS = ("shared", "standard")


class CNN(nn.Module):
    """Images (batch, channels, height, width) to logits (batch, n_classes).

    `padding` is one number, or one entry a convolution: a number, or (before, after) for the rows and the
    columns alike. `batch_standardize` standardises the input, and the features before the last layer, with
    the statistics of the batch at hand, when testing too, as the original did. It hides much of an attack, so
    it is off unless asked for. Evaluations then take the images in the original's batches (`evaluation_batch`).
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        n_classes: int,
        channels: Sequence[int],
        kernel_size: int,
        padding: Padding,
        hidden: Sequence[int],
        batch_standardize: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.padding = paddings(padding, len(channels))
        self.batch_standardize = batch_standardize
        self.evaluation_batch = STANDARDIZED_BATCH if batch_standardize else None
        n_features = flat_features(image_shape, channels, kernel_size, self.padding)
        skip = nn.utils.skip_init  # the global random state is never drawn from
        planes = [image_shape[0], *channels]
        sizes = [n_features, *hidden, n_classes]
        self.convolutions = nn.ModuleList(
            skip(nn.Conv2d, a, b, kernel_size, padding=before if before == after else 0)
            for a, b, (before, after) in zip(planes, planes[1:], self.padding, strict=False)
        )
        self.dense = nn.ModuleList(skip(nn.Linear, a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        initialise(self, generator if generator is not None else torch.Generator().manual_seed(0))

    def forward(self, images: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Logits; `masks` (from `dropout_masks`) multiply the inputs of the dense layers."""
        x = standardized(images, (0, 2, 3)) if self.batch_standardize else images
        for convolution, (before, after) in zip(self.convolutions, self.padding, strict=True):
            x = x if before == after else F.pad(x, (before, after, before, after))
            # ReLU and the maximum commute: pooling first leaves a quarter of the work
            x = F.relu(F.max_pool2d(channels_last(convolution(x)), 2))
        x = x.flatten(1)
        last = len(self.dense) - 1
        for i, layer in enumerate(self.dense):
            x = x if i == 0 else F.relu(x)
            x = x if masks is None else x * masks[i]
            x = standardized(x, (0,)) if self.batch_standardize and i == last else x
            x = layer(x)
        return x

    def dropout_masks(
        self, prob: float, batch_size: int, generator: torch.Generator, kind: str = "shared"
    ) -> list[Tensor] | None:
        """Masks for one forward pass, one a dense layer; None for `prob` 0 (see `masks_of`)."""
        return masks_of(self.dense, prob, batch_size, generator, kind)


def masks_of(
    layers: Iterable[nn.Module], prob: float, batch_size: int, generator: torch.Generator, kind: str = "shared"
) -> list[Tensor] | None:
    """Dropout masks of the inputs of dense layers, one a layer; None for `prob` 0.

    kind "shared": one mask (1, features) for the whole batch, kept features not rescaled, as in the
    original. kind "standard": one mask an image, kept features scaled by 1 / (1 - prob), as
    torch.nn.Dropout does.
    """
    if prob == 0:
        return None
    if kind not in DROPOUT_KINDS or not 0 < prob < 1:
        raise ValueError(f"dropout {prob!r} {kind!r}: want 0 <= prob < 1 and one of {DROPOUT_KINDS}")
    rows, scale = (1, 1.0) if kind == "shared" else (batch_size, 1 / (1 - prob))
    return [_mask(layer.weight, rows, prob, scale, generator) for layer in layers]


def _mask(weight: Tensor, rows: int, prob: float, scale: float, generator: torch.Generator) -> Tensor:
    kept = torch.rand(rows, weight.shape[1], generator=generator) >= prob
    return (kept.to(weight.dtype) * scale).to(weight.device)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases uniform within +-1/sqrt(fan_in), PyTorch's default, drawn from `generator` alone."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                bound = 1 / math.sqrt(module.weight[0].numel())
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)


def channels_last(x: Tensor) -> Tensor:
    """The same (batch, channels, rows, columns), laid out in memory so that pooling runs over channels at once.

    It halves the time of a forward pass on a CPU. (Written with permutes, which vmap understands.)
    """
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def standardized(x: Tensor, dims: Sequence[int]) -> Tensor:
    """Zero mean and unit variance over `dims` of this batch."""
    variance, mean = torch.var_mean(x, dim=tuple(dims), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


def paddings(padding: Padding, n_layers: int) -> list[tuple[int, int]]:
    """(before, after) for each of `n_layers` convolutions.

    >>> paddings(1, 2), paddings([[2, 1], 0], 2)
    ([(1, 1), (1, 1)], [(2, 1), (0, 0)])
    """
    entries = [padding] * n_layers if isinstance(padding, int) else list(padding)
    pairs = [(e, e) if isinstance(e, int) else tuple(e) for e in entries]
    if len(pairs) != n_layers or any(len(p) != 2 for p in pairs):
        raise ValueError(f"padding={padding!r} for {n_layers} convolutions: give one number, or one entry for each")
    return [(int(before), int(after)) for before, after in pairs]


def flat_features(
    image_shape: Sequence[int], channels: Sequence[int], kernel_size: int, padding: Sequence[tuple[int, int]]
) -> int:
    """Features after the last pooling; an image too small for its layers is an error that names the layer.

    >>> flat_features((1, 28, 28), (64, 64), 4, [(2, 1), (0, 0)])
    1600
    """
    sides = list(image_shape[1:])
    for i, (before, after) in enumerate(padding):
        sides = [(side + before + after - kernel_size + 1) // 2 for side in sides]
        if min(sides) < 1:
            raise ValueError(
                f"images {tuple(image_shape)} are used up at convolution {i} (kernel {kernel_size}, padding "
                f"{(before, after)}): take fewer channels, a smaller kernel_size or more padding"
            )
    return math.prod([channels[-1] if channels else image_shape[0], *sides])
