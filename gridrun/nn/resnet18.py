"""ResNet18 (He, Zhang, Ren, Sun, CVPR 2016, table 1) for 32x32 images: a 3x3 convolution at the start, no pooling.

Names of the parameters are weiaicunzai's, whose CIFAR-100 form is published (conv1.0, conv2_x.0.residual_function.0
..., fc).

>>> sum(p.numel() for p in ResNet18().parameters())
11220132
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResNet18(nn.Module):
    """Images (batch, 3, height, width) to logits; stages of two blocks, 1, 2, 4 and 8 times `width` channels."""

    def __init__(self, n_classes: int = 100, width: int = 64) -> None:
        super().__init__()
        start = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.conv1 = nn.Sequential(start, nn.BatchNorm2d(width), nn.ReLU())
        self.conv2_x = _stage(width, width, 1)
        self.conv3_x = _stage(width, 2 * width, 2)
        self.conv4_x = _stage(2 * width, 4 * width, 2)
        self.conv5_x = _stage(4 * width, 8 * width, 2)
        self.fc = nn.Linear(8 * width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv3_x(self.conv2_x(self.conv1(images)))
        x = self.conv5_x(self.conv4_x(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Block(nn.Module):
    """Two 3x3 convolutions added to the input, which passes a 1x1 convolution where its shape changes (option B)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.residual_function = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual_function(x) + self.shortcut(x))


def _stage(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(n_in, n_out, stride), Block(n_out, n_out, 1))
