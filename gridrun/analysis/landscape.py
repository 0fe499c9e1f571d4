"""The loss around a network's parameters, along straight lines in random directions.

Buechel, Faber, Muir (ICLR 2022), after Li, Xu, Taylor, Studer, Goldstein, "Visualizing the loss landscape of neural
nets" (NeurIPS 2018): a direction v is drawn once, v ~ N(0, (std |theta|)^2) for each parameter, and the cross entropy
is taken at theta + alpha v for alpha from -2 to 2. How much it changes on the way is the line's flatness.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..training.adversarial import Theta, normal_like
from ..training.evaluation import accuracy, judging, logits_at, perturbed_of
from ..training.seeding import generator


def direction(theta: Mapping[str, Tensor], std: float, draw: torch.Generator) -> Theta:
    """v ~ N(0, (std |theta|)^2), drawn tensor by tensor in the order of the names: parameters that are 0 stay.

    >>> direction({"w": torch.tensor([0.0, -3.0])}, 0.0, torch.Generator())["w"].tolist()
    [0.0, 0.0]
    """
    return {name: tensor.abs() * normal_like(tensor, std, draw) for name, tensor in theta.items()}


def along(
    model: nn.Module, images: Tensor, labels: Tensor, towards: Mapping[str, Tensor], alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy (nats, the mean over the images) and accuracy (0..1) at theta + alpha v for each alpha, v being
    `towards`: two arrays of the alphas' shape."""
    theta = perturbed_of(model)
    cross_entropy, right = np.empty(len(alphas)), np.empty(len(alphas))
    for i, alpha in enumerate(alphas):
        moved = {name: torch.add(tensor, towards[name], alpha=float(alpha)) for name, tensor in theta.items()}
        logits = logits_at(model, moved, images)
        cross_entropy[i] = F.cross_entropy(logits.double(), labels).item()  # differences of neighbours are small
        right[i] = accuracy(logits, labels)
    return cross_entropy, right


@judging
def landscape(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    std: float = 0.2,
    n_directions: int = 10,
    n_points: int = 50,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Cross entropy and accuracy on `n_directions` lines: {"alpha" (n_points,), "cross_entropy" and "accuracy"
    (n_directions, n_points), "flatness" (n_directions,)}.

    Line i has its own random stream (seed, i), so it does not depend on how many there are.
    """
    if n_directions < 1 or n_points < 2:
        raise ValueError(f"n_directions={n_directions!r}, n_points={n_points!r}: want 1 or more, and 2 or more")
    alphas, theta = np.linspace(-2.0, 2.0, n_points), perturbed_of(model)
    lines = [direction(theta, std, generator(seed, "landscape", i)) for i in range(n_directions)]
    found = [along(model, images, labels, line, alphas) for line in lines]
    cross_entropy, right = (np.stack(values) for values in zip(*found, strict=True))
    return {
        "alpha": alphas,
        "cross_entropy": cross_entropy,
        "accuracy": right,
        "flatness": flatness(alphas, cross_entropy),
    }


def flatness(alphas: np.ndarray, cross_entropy: np.ndarray) -> np.ndarray:
    """Mean slope |d CE / d alpha| between neighbouring points, over the last axis: 0 for a flat line.

    >>> flatness(np.array([-1.0, 0.0, 2.0]), np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))  # slopes 2 and 1/2
    array([1.25, 0.  ])
    """
    return np.abs(np.diff(cross_entropy, axis=-1) / np.diff(alphas)).mean(-1)
