"""The loss around a trained network, cached by the network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import cachable
from .evaluate import NETWORK

if TYPE_CHECKING:
    import numpy as np


@cachable(dependencies=[NETWORK, "std", "n_directions", "n_points", "noise_seed", "n_images"])
def landscape(
    model: Mapping[str, Any],
    std: float = 0.2,
    n_directions: int = 10,
    n_points: int = 50,
    noise_seed: int = 0,
    n_images: int | None = None,
) -> dict[str, np.ndarray]:
    """Test cross entropy (nats) and accuracy (0..1) at theta + alpha v, v ~ N(0, (std |theta|)^2), alpha from -2 to 2.

    {"alpha": (n_points,), "cross_entropy" and "accuracy": (n_directions, n_points), "flatness": (n_directions,), the
    mean of |d cross entropy| / d alpha}. `n_images` as in `evaluate`.
    """
    from ..analysis.landscape import landscape as around
    from . import ranges, settings

    ranges.check_arguments(std=std, n_directions=n_directions, n_points=n_points)
    ranges.check_arguments(noise_seed=noise_seed, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        images, labels = settings.test_images(model, n_images)
        return around(settings.trained(model), images, labels, std, n_directions, n_points, noise_seed)
