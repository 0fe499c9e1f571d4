"""Weights kept within a few standard deviations, so that no device has to hold a weight far from all others.

Joshi and others, "Accurate deep neural network inference using computational phase-change memory" (Nature
Communications 2020), clip at 2 standard deviations after every step.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


@torch.no_grad()
def clip_weights(theta: Mapping[str, Tensor], alpha: float) -> None:
    """Clip, in place, the weights of each layer to `alpha` standard deviations around their mean.

    Vectors (biases, batch normalisation) are left as they are.

    >>> theta = {"w": torch.tensor([[-1.0, 0.0, 0.0, 1.0]]), "b": torch.tensor([9.0, 0.0])}
    >>> clip_weights(theta, 1.0)
    >>> theta["w"].tolist(), theta["b"].tolist()  # the standard deviation is sqrt(2 / 3)
    ([[-0.8164966106414795, 0.0, 0.0, 0.8164966106414795]], [9.0, 0.0])
    """
    for tensor in theta.values():
        if tensor.dim() > 1:
            std, mean = torch.std_mean(tensor)
            tensor.clamp_(mean - alpha * std, mean + alpha * std)
