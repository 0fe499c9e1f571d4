"""DenseNet (Huang, Liu, van der Maaten, Weinberger, CVPR 2017), bottlenecks and compression 0.5, for small images.

Two forms, as their weights are published: `DenseNet` with torchvision's names for CIFAR-10 (a 3x3 convolution, then
max-pooling), and `PlainDenseNet` with weiaicunzai's names for CIFAR-100 and GTSRB (no pooling at the start, no ReLU in
the transitions).

>>> sum(p.numel() for p in DenseNet((6, 12, 24, 16)).parameters())  # DenseNet121 for CIFAR-10
6956426
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24)}
BOTTLENECK = 4  # a layer's 1x1 convolution has four times as many channels as it adds


class DenseNet(nn.Module):
    """Images (batch, 3, height, width) to logits; `growth` channels are added by each layer."""

    def __init__(self, n_layers: Sequence[int], growth: int = 32, start: int = 64, n_classes: int = 10) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, start, 3, padding=1, bias=False),
            norm0=nn.BatchNorm2d(start),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        n = start
        for i, n_block in enumerate(n_layers, 1):
            names = [f"denselayer{j}" for j in range(1, n_block + 1)]
            parts[f"denseblock{i}"] = _block(names, DenseLayer, n, growth)
            n += n_block * growth
            if i < len(n_layers):
                parts[f"transition{i}"] = _transition(n, n // 2)
                n //= 2
        parts["norm5"] = nn.BatchNorm2d(n)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(n, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.features(images))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


class DenseLayer(nn.Module):
    """The input, and behind it `growth` new channels."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


class PlainDenseNet(nn.Module):
    """Images (batch, 3, height, width) to logits; it starts with 2 `growth` channels."""

    def __init__(self, n_layers: Sequence[int], growth: int = 32, n_classes: int = 100) -> None:
        super().__init__()
        n = 2 * growth
        self.conv1 = nn.Conv2d(3, n, 3, padding=1, bias=False)
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        last = len(n_layers) - 1
        for i, n_block in enumerate(n_layers):
            names = [f"bottle_neck_layer_{j}" for j in range(n_block)]
            name = f"dense_block{i}" if i == last else f"dense_block_layer_{i}"
            parts[name] = _block(names, PlainLayer, n, growth)
            n += n_block * growth
            if i < last:
                parts[f"transition_layer_{i}"] = PlainTransition(n, n // 2)
                n //= 2
        parts["bn"] = nn.BatchNorm2d(n)
        parts["relu"] = nn.ReLU()
        self.features = nn.Sequential(parts)
        self.linear = nn.Linear(n, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(self.conv1(images))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


class PlainLayer(nn.Module):
    """As `DenseLayer`, in one sequence."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        n = BOTTLENECK * growth
        self.bottle_neck = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.ReLU(),
            nn.Conv2d(n_in, n, 1, bias=False),
            nn.BatchNorm2d(n),
            nn.ReLU(),
            nn.Conv2d(n, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.bottle_neck(x)], 1)


class PlainTransition(nn.Module):
    """Half the channels, half the rows and columns; no ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(n_in, n_out, 1, bias=False)
        self.down_sample = nn.Sequential(nn.BatchNorm2d(n_in), convolution, nn.AvgPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.down_sample(x)


def _block(names: Sequence[str], layer: Callable[[int, int], nn.Module], n_in: int, growth: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, layer(n_in + i * growth, growth)) for i, name in enumerate(names)))


def _transition(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(n_in),
            relu=nn.ReLU(),
            conv=nn.Conv2d(n_in, n_out, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )
