"""Training, validation and test samples, as every data set here returns them: images, or sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .parts import fewer

# images (n, channels, height, width) or sequences (n, time, channels), float32; labels (n,) int64
Images = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Splits:
    """Images and labels of each split; `validation` is None if nothing was set aside."""

    train: Images
    validation: Images | None
    test: Images
    n_classes: int

    def to(self, device: str) -> Splits:
        """The same images on another device."""
        parts = [part and (part[0].to(device), part[1].to(device)) for part in self._parts()]
        return Splits(parts[0], parts[1], parts[2], self.n_classes)  # type: ignore[arg-type]

    def with_fewer(self, n: int | None) -> Splits:
        """The same with `n` training samples (see `some`); None: all of them."""
        return replace(self, train=some(self.train, n))

    def _parts(self) -> list[Images | None]:
        return [self.train, self.validation, self.test]


def some(samples: Images, n: int | None) -> Images:
    """`n` samples, the classes in proportion, the same at every call and among those of a larger `n`; None: all."""
    if n is None:
        return samples
    chosen = torch.from_numpy(fewer(samples[1].cpu().numpy(), n)).to(samples[1].device)
    return samples[0][chosen], samples[1][chosen]


def standardized(images: np.ndarray, mean: float, std: float) -> Tensor:
    """(images - mean) / std as float32, pixels (n, height, width) in 0..1 made (n, 1, height, width).

    >>> standardized(np.array([[[0.5, 1.0]]]), mean=0.5, std=0.25).tolist()
    [[[[0.0, 2.0]]]]
    """
    return torch.from_numpy(((images - mean) / std).astype(np.float32)).unsqueeze(1)


def colours(pixels: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(pixels / 255 - mean) / std as float32, as torchvision computes it; pixels (n, 3, height, width) of 0..255.

    >>> colours(np.full((1, 3, 1, 1), 255, np.uint8), [0, 0.5, 1], [1, 0.25, 1]).flatten().tolist()
    [1.0, 2.0, 0.0]
    """
    means, stds = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (mean, std))
    return torch.from_numpy(np.array(pixels)).to(torch.float32).div_(255).sub_(means).div_(stds)


def validation_split(train: Images, fraction: float, seed: int = 0) -> tuple[Images, Images | None]:
    """Set a fraction of the training images aside, chosen by `seed` alone (it is a property of the data set,
    not of a run).

    Any augmentation comes after it, so no validation image is a turned training image.

    >>> images, labels = torch.zeros(10, 1, 2, 2), torch.arange(10)
    >>> (_, kept), (_, aside) = validation_split((images, labels), 0.2)
    >>> len(kept), len(aside), sorted([*kept.tolist(), *aside.tolist()]) == labels.tolist()
    (8, 2, True)
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"validation_fraction={fraction!r}: want 0 <= fraction < 1")
    n = len(train[1])
    n_aside = round(n * fraction)
    if n_aside == 0:
        return train, None
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    aside, kept = order[:n_aside].sort().values, order[n_aside:].sort().values
    return (train[0][kept], train[1][kept]), (train[0][aside], train[1][aside])
