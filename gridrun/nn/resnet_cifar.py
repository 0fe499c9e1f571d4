"""Residual networks for small images (He, Zhang, Ren, Sun, CVPR 2016, section 4.2), shortcuts of option A.

Depth 6 n + 2: one convolution, three stages of n blocks of two 3x3 convolutions, one dense layer. Names of the
parameters are those of the weights that akamaster published (conv1, bn1, layer1.0.conv1 ..., linear).

>>> sum(p.numel() for p in ResNetCifar(3).parameters() if p.ndim > 1)  # ResNet20: weights of its layers
268336
>>> sum(p.numel() for p in ResNetCifar(3, n_classes=43).parameters() if p.ndim > 1)  # for 43 traffic signs
270448
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResNetCifar(nn.Module):
    """Images (batch, n_channels, height, width) to logits (batch, n_classes).

    `n_blocks` a stage: 3 for ResNet20, 18 for ResNet110. Stages have `width`, 2 `width` and 4 `width` channels; the
    second and third halve the image.
    """

    def __init__(self, n_blocks: int, n_classes: int = 10, width: int = 16, n_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, n_blocks, stride=1)
        self.layer2 = _stage(width, 2 * width, n_blocks, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, n_blocks, stride=2)
        self.linear = nn.Linear(4 * width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Block(nn.Module):
    """Two 3x3 convolutions, each with batch normalisation, added to the block's input."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential() if stride == 1 and n_in == n_out else OptionA(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class OptionA(nn.Module):
    """The shortcut without weights: every `stride`-th pixel, and channels of zeros, half before and half behind.

    >>> import torch
    >>> OptionA(1, 3, 2)(torch.arange(4.0).view(1, 1, 2, 2)).flatten().tolist()
    [0.0, 0.0, 0.0]
    >>> OptionA(1, 3, 2)(torch.ones(1, 1, 3, 3)).sum((0, 2, 3)).tolist()
    [0.0, 4.0, 0.0]
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.before = (n_out - n_in) // 2
        self.behind = n_out - n_in - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.behind))


def _stage(n_in: int, n_out: int, n_blocks: int, stride: int) -> nn.Sequential:
    first = Block(n_in, n_out, stride)
    return nn.Sequential(first, *(Block(n_out, n_out, 1) for _ in range(n_blocks - 1)))
