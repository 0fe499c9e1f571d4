"""GoogLeNet (Szegedy and others, CVPR 2015) with batch normalisation, for 32x32 images, without auxiliary outputs.

Two forms, as their weights are published: `GoogLeNet` with torchvision's names for CIFAR-10 (one 3x3 convolution at
the start; a 3x3 convolution where the paper has a 5x5 one), and `PlainGoogLeNet` with weiaicunzai's names for
CIFAR-100 (three convolutions at the start; two 3x3 ones for the 5x5 one).

>>> sum(p.numel() for p in GoogLeNet().parameters())
5490986
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INCEPTION = {  # channels: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; 1x1 behind the pooling (table 1 of the paper)
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """Images (batch, 3, height, width) to logits (batch, n_classes); every number of channels divided by `divisor`."""

    def __init__(self, n_classes: int = 10, divisor: int = 1) -> None:
        super().__init__()
        n = 192 // divisor
        self.conv1 = Convolution(3, n, 3)
        for name, channels in INCEPTION.items():
            module = Inception(n, [c // divisor for c in channels])
            self.add_module(f"inception{name}", module)
            n = module.n_out
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(n, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv1(images)
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.maxpool4(self.inception4e(self.inception4d(x)))
        x = F.adaptive_avg_pool2d(self.inception5b(self.inception5a(x)), 1)
        return self.fc(self.dropout(x.flatten(1)))


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU; the image keeps its size."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(n_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches on the same input, their channels one behind the other."""

    def __init__(self, n_in: int, channels: list[int]) -> None:
        super().__init__()
        n1, reduced3, n3, reduced5, n5, pooled = channels
        self.branch1 = Convolution(n_in, n1, 1)
        self.branch2 = nn.Sequential(Convolution(n_in, reduced3, 1), Convolution(reduced3, n3, 3))
        self.branch3 = nn.Sequential(Convolution(n_in, reduced5, 1), Convolution(reduced5, n5, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Convolution(n_in, pooled, 1))
        self.n_out = n1 + n3 + n5 + pooled

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class PlainGoogLeNet(nn.Module):
    """Images (batch, 3, height, width) to logits (batch, n_classes); every number of channels divided by `divisor`."""

    def __init__(self, n_classes: int = 100, divisor: int = 1) -> None:
        super().__init__()
        start, n = 64 // divisor, 192 // divisor
        stem = [*_unit(3, start, 3, False), *_unit(start, start, 3, False), *_unit(start, n, 3, False)]
        self.prelayer = nn.Sequential(*stem)
        for name, channels in INCEPTION.items():
            module = PlainInception(n, [c // divisor for c in channels])
            self.add_module(name[::-1], module)  # a3, b3, a4 ...
            n = module.n_out
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.dropout = nn.Dropout2d(0.4)
        self.linear = nn.Linear(n, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.prelayer(images))
        x = self.maxpool(self.b3(self.a3(x)))
        x = self.maxpool(self.e4(self.d4(self.c4(self.b4(self.a4(x))))))
        x = F.adaptive_avg_pool2d(self.b5(self.a5(x)), 1)
        return self.linear(self.dropout(x).flatten(1))


class PlainInception(nn.Module):
    """As `Inception`, with two 3x3 convolutions for the 5x5 one, and biases."""

    def __init__(self, n_in: int, channels: list[int]) -> None:
        super().__init__()
        n1, reduced3, n3, reduced5, n5, pooled = channels
        self.b1 = nn.Sequential(*_unit(n_in, n1, 1))
        self.b2 = nn.Sequential(*_unit(n_in, reduced3, 1), *_unit(reduced3, n3, 3))
        self.b3 = nn.Sequential(*_unit(n_in, reduced5, 1), *_unit(reduced5, n5, 3), *_unit(n5, n5, 3))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *_unit(n_in, pooled, 1))
        self.n_out = n1 + n3 + n5 + pooled

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1)


def _unit(n_in: int, n_out: int, kernel_size: int, bias: bool = True) -> list[nn.Module]:
    convolution = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=bias)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU()]
