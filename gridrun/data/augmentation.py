"""More training images: each image again, turned by up to 10 degrees and perhaps mirrored.

As in the code of Buechel, Faber and Muir (ICLR 2022), where each Fashion-MNIST image came twice more; there the
validation images were drawn from among the turned ones, here they are set aside first.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..training.seeding import generator
from .splits import Splits

LARGEST_ANGLE = 10.0  # degrees
AT_ONCE = 4096  # images


def augmented(splits: Splits, n_copies: int, seed: int = 0) -> Splits:
    """The same data with `n_copies` changed copies of each training image behind the training images.

    Validation and test images stay as they are. The draws are a property of the data set, like its splits: `seed` is
    no run's. Raises ValueError for sequences and for a number below 0.
    """
    if n_copies < 0 or n_copies != int(n_copies):
        raise ValueError(f"augmentation={n_copies!r}: want the number of changed copies of each image, 0 or more")
    if n_copies == 0:
        return splits
    if splits.train[0].dim() != 4:
        shape = tuple(splits.train[0].shape[1:])
        raise ValueError(f"augmentation={n_copies!r} turns images; these samples are {shape}: leave it 0")
    images, labels = splits.train
    copies = [changed(images, seed, copy) for copy in range(n_copies)]
    return replace(splits, train=(torch.cat([images, *copies]), labels.repeat(n_copies + 1)))


def changed(images: Tensor, seed: int, copy: int) -> Tensor:
    """Each image (n, channels, rows, columns) turned by an angle of -10 to 10 degrees, every second one mirrored, by
    chance: equal seeds and copies give equal images.
    """
    stream = generator(seed, "augmentation", copy)
    angles = (2 * torch.rand(len(images), generator=stream) - 1) * LARGEST_ANGLE
    is_mirrored = torch.rand(len(images), generator=stream) < 0.5
    parts = (part.split(AT_ONCE) for part in (images, angles, is_mirrored))
    return torch.cat([turned(*some) for some in zip(*parts, strict=True)])


def turned(images: Tensor, angles: Tensor, is_mirrored: Tensor) -> Tensor:
    """Images mirrored left to right where asked, then turned counter-clockwise about their middle by `angles` degrees.

    Between pixels bilinear; what comes from outside the image is its nearest pixel.

    >>> image = torch.arange(9.0).view(1, 1, 3, 3)
    >>> turned(image, torch.tensor([90.0]), torch.tensor([False])).round().int().tolist()
    [[[[2, 5, 8], [1, 4, 7], [0, 3, 6]]]]
    >>> turned(image, torch.zeros(1), torch.tensor([True])).round().int()[0, 0, 0].tolist()
    [2, 1, 0]
    """
    n, _, rows, columns = images.shape
    radians = angles * (math.pi / 180)
    cos, sin = radians.cos().view(n, 1, 1), radians.sin().view(n, 1, 1)
    y = (torch.arange(rows) - (rows - 1) / 2).view(1, rows, 1)  # pixels from the middle, downwards
    x = (torch.arange(columns) - (columns - 1) / 2).view(1, 1, columns)
    sign = 1 - 2 * is_mirrored.view(n, 1, 1).float()
    from_x, from_y = sign * (cos * x - sin * y), sin * x + cos * y
    grid = torch.stack([from_x * (2 / columns), from_y * (2 / rows)], 3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
