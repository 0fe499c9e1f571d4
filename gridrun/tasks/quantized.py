"""What a trained network is worth once its parameters are words of a few bits, cached by the trained network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import cachable


@cachable(dependencies=["model:{architecture}_session_id", "bits", "per_channel", "n_images"])
def quantized_accuracy(
    model: Mapping[str, Any], bits: int, per_channel: bool = False, n_images: int | None = None
) -> float:
    """Test accuracy in 0..1 with every parameter rounded to a word of `bits` bits, 2 to 24: see faults/quantization.py.

    `per_channel`: a step for each output channel instead of one a tensor. `n_images`: so many of the test images.
    """
    from ..faults.quantization import quantized_accuracy as accuracy_at
    from . import ranges, settings

    ranges.check_arguments(per_channel=per_channel, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        images, labels = settings.test_images(model, n_images)
        return accuracy_at(settings.trained(model), images, labels, bits, per_channel)
