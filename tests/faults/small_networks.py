"""Small networks, each with one thing that a cut through a network can get wrong."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Skip(nn.Module):
    """Skip connections, batch normalisation, in-place ReLUs, a shortcut convolution, an in-place sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.one, self.two = nn.Conv2d(8, 8, 3, 2, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.shortcut, self.relu = nn.Conv2d(8, 8, 1, 2), nn.ReLU(inplace=True)
        self.norms = nn.ModuleList([nn.BatchNorm2d(8), nn.BatchNorm2d(8)])
        self.head = nn.Linear(8, 6)

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        x = self.relu(self.norm(self.stem(images)))
        y = self.norms[1](self.two(F.relu(self.norms[0](self.one(x)), inplace=True)))
        y += self.shortcut(x)
        return self.head(F.adaptive_avg_pool2d(self.relu(y), 1).view(x.size(0), -1))


class Branches(nn.Module):
    """Concatenated branches, max and average pooling, a depthwise and a grouped convolution, dropout in eval."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False)
        self.grouped, self.pool = nn.Conv2d(12, 8, 1, groups=4), nn.MaxPool2d(2)
        self.dropout, self.one, self.two = nn.Dropout(0.5), nn.Linear(32, 16), nn.Linear(16, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.cat([self.pool(self.a(images)), F.avg_pool2d(self.b(images).relu(), 2)], 1)
        x = self.pool(self.grouped(F.relu6(self.depthwise(x)))).flatten(1)
        return self.two(self.dropout(F.relu(self.one(F.dropout(x, 0.5, self.training)))))


class Shared(nn.Module):
    """A convolution called twice, and two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.one, self.two, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 6)
        self.two.weight = self.one.weight

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(self.again(F.relu(self.again(self.first(images)))), 4).flatten(1)
        return self.head(F.relu(self.two(F.relu(self.one(x)))))


class Functional(nn.Module):
    """A weight used by a function, and activations whose bits depend on the place in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 5, 3), nn.Linear(5, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = F.silu(F.conv2d(images, self.conv.weight, self.conv.bias, padding=1))
        return self.head(torch.sigmoid(x).mean((2, 3))).softmax(1)


class MixesImages(nn.Module):
    """What one image gives depends on the others of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.conv(images))
        return self.head((x - x.mean(0)).mean((2, 3)))


class Untraceable(nn.Module):
    """A way that depends on the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv(images)
        return self.head((x if x.sum() > 0 else x.relu()).mean((2, 3)))


class ReadAgain(nn.Module):
    """A value that is read after it was overwritten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv(images)
        y = F.relu_(x)
        return self.head((x + y).mean((2, 3)))


class Constants(nn.Module):
    """Parameters that are added to every image's map, in shapes that broadcast, behind each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.shift, self.other = nn.Parameter(torch.zeros(4, 1, 1)), nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.head = nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = (self.one(images) + self.shift).relu()
        return self.head((self.two(x) + self.other + x).relu().mean((2, 3)))


NETWORKS = (Skip, Branches, Shared, Functional, MixesImages, Untraceable, ReadAgain, Constants)


def made(network: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A network in eval mode with weights, and statistics of its normalisation, of its own."""
    model = network().eval()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                new = 0.4 * torch.randn(tensor.shape, generator=draw)
                tensor.copy_(new.abs() + 0.5 if "var" in name or tensor.dim() == 1 else new)
    return model


@torch.no_grad()
def balance(model: nn.Module, x: Tensor) -> None:
    """Shift the biases of its head so that the images `x` are spread over all classes: then small faults show."""
    model.head.bias -= model(x).mean(0)


def images(n: int, seed: int = 1) -> Tensor:
    """Images (n, 3, 8, 8)."""
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
