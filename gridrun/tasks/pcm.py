"""What a trained network is worth on phase-change memory, cached by the trained network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import cachable

if TYPE_CHECKING:
    import numpy as np


@cachable(
    dependencies=[
        "model:{architecture}_session_id",
        "seconds",
        "n_repeats",
        "noise_seed",
        "is_compensated",
        "n_images",
    ]
)
def pcm_accuracy(
    model: Mapping[str, Any],
    seconds: float,
    n_repeats: int = 10,
    noise_seed: int = 0,
    is_compensated: bool = True,
    n_images: int | None = None,
) -> np.ndarray:
    """Test accuracy in 0..1 of each programming of the weights, `seconds` (25 or more) after it, shape (n_repeats,).

    See faults/pcm.py. The same `noise_seed` is the same devices at all times, with and without drift compensation.
    """
    from ..faults.pcm import accuracy_on_pcm
    from . import ranges, settings

    ranges.check_arguments(seconds=seconds, n_repeats=n_repeats, noise_seed=noise_seed)
    ranges.check_arguments(is_compensated=is_compensated, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        images, labels = settings.test_images(model, n_images)
        return accuracy_on_pcm(settings.trained(model), images, labels, seconds, n_repeats, noise_seed, is_compensated)
