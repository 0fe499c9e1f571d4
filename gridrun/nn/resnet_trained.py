"""The residual network for small images as it is trained here, its parameters under noise or attack.

>>> model = TrainedResNet((3, 32, 32), 10)  # ResNet32
>>> sum(p.numel() for p in model.parameters()), sum(p.numel() for k, p in model.named_parameters() if k in model.spared)
(464154, 2272)
>>> tuple(TrainedResNet((1, 8, 8), 10, n_blocks=1, width=8)(torch.zeros(2, 1, 8, 8)).shape)  # grey digits
(2, 10)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import batch_norm
from .cnn import masks_of
from .resnet_cifar import ResNetCifar


class TrainedResNet(ResNetCifar):
    """Images (batch, channels, height, width) of any number of channels to logits; `n_blocks` a stage: 5 for ResNet32.

    `spared` names the parameters that no noise and no attack touches, those of batch normalisation; its statistics are
    the batch's in training (see `batch_norm`).
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        n_classes: int,
        n_blocks: int = 5,
        width: int = 16,
        generator: torch.Generator | None = None,
    ) -> None:
        if len(image_shape) != 3 or n_blocks < 1:
            wanted = "want (channels, height, width), and 1 or more"
            raise ValueError(f"images {tuple(image_shape)}, n_blocks={n_blocks!r}: {wanted}")
        with torch.device("meta"):  # the global random state is never drawn from
            super().__init__(n_blocks, n_classes, width, image_shape[0])
        self.to_empty(device="cpu")
        initialise(self, generator if generator is not None else torch.Generator().manual_seed(0))
        batch_norm.forget(self)
        self.spared = batch_norm.parameter_names(self)

    def forward(self, images: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Logits; `masks` (from `dropout_masks`) multiply the features before the last layer."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        return self.linear(x if masks is None else x * masks[0])

    def dropout_masks(
        self, prob: float, batch_size: int, generator: torch.Generator, kind: str = "shared"
    ) -> list[Tensor] | None:
        """One mask for one forward pass, of the last layer's inputs; None for `prob` 0 (see `cnn.masks_of`)."""
        return masks_of([self.linear], prob, batch_size, generator, kind)


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Weights normal with variance 2 / fan_in (He and others, ICCV 2015), drawn from `generator` alone; the last
    layer's bias 0, batch normalisation the identity."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.weight.normal_(0, math.sqrt(2 / module.weight[0].numel()), generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
