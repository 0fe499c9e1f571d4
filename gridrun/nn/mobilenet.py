"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018) for 32x32 images.

The form of the published fault list (kuangliu's names: conv1, bn1, layers.0.conv1 ..., conv2, bn2, linear): ReLU
instead of ReLU6, strides 1 where the image is small already, a 1x1 convolution in the shortcut where channels change.

>>> sum(p.numel() for p in MobileNetV2().parameters())
2296922
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

STAGES = (  # expansion, channels, blocks, stride of the first (table 2 of the paper, strides for 32x32)
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """Images (batch, 3, height, width) to logits (batch, n_classes); every number of channels divided by `divisor`."""

    def __init__(self, n_classes: int = 10, divisor: int = 1) -> None:
        super().__init__()
        n_in, last = 32 // divisor, 1280 // divisor
        self.conv1 = nn.Conv2d(3, n_in, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_in)
        blocks = []
        for expansion, n_out, n_blocks, stride in STAGES:
            for i in range(n_blocks):
                blocks.append(Block(n_in, n_out // divisor, expansion, stride if i == 0 else 1))
                n_in = n_out // divisor
        self.layers = nn.Sequential(*blocks)
        self.conv2 = nn.Conv2d(n_in, last, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(last)
        self.linear = nn.Linear(last, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.layers(F.relu(self.bn1(self.conv1(images))))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Block(nn.Module):
    """Expand by a 1x1 convolution, filter each channel alone by a 3x3 one, project by a 1x1 one without ReLU."""

    def __init__(self, n_in: int, n_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        n = expansion * n_in
        self.conv1 = nn.Conv2d(n_in, n, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, stride, padding=1, groups=n, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.conv3 = nn.Conv2d(n, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride == 1 and n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        self.is_residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return y + self.shortcut(x) if self.is_residual else y
