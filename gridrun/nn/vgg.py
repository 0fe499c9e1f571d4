"""VGG with batch normalisation (Simonyan and Zisserman, ICLR 2015) for small images.

Names of the parameters are torchvision's (features.0 ..., classifier.0, .3, .6), as in the published CIFAR-10
weights; the last pooling leaves one pixel, so the dense layers are 512-4096-4096-classes.

>>> sum(p.numel() for p in VGG(11).parameters())
28149514
"""

from __future__ import annotations

from torch import Tensor, nn

LAYERS = {  # convolutions of each stage; a stage ends with 2x2 max-pooling
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGG(nn.Module):
    """Images (batch, 3, height, width), 32 pixels a side or more, to logits (batch, n_classes).

    Stages have 1, 2, 4, 8 and 8 times `width` channels; `hidden` neurons in each of two dense layers.
    """

    def __init__(self, depth: int, n_classes: int = 10, width: int = 64, hidden: int = 4096) -> None:
        super().__init__()
        self.features = nn.Sequential(*_features(LAYERS[depth], width))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(8 * width, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, n_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def _features(n_layers: tuple[int, ...], width: int) -> list[nn.Module]:
    found: list[nn.Module] = []
    n_in = 3
    for stage, n in enumerate(n_layers):
        n_out = width * min(2**stage, 8)
        for _ in range(n):
            found += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
            n_in = n_out
        found.append(nn.MaxPool2d(2))
    return found
