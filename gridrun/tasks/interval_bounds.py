"""How many test images are proven right for all networks near a trained one, cached by the network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import cachable
from .evaluate import NETWORK


@cachable(dependencies=[NETWORK, "size", "n_images"])
def verified_accuracy(model: Mapping[str, Any], size: float, n_images: int | None = None) -> dict[str, float]:
    """The fraction of test images classified right by every network with |theta' - theta| <= size |theta|, as far as
    interval bounds prove it, for CNNs without batch_standardize and for LSNNs.

    {"verified": that fraction, in exact arithmetic, "logit_width": by how much a logit can change at most, the mean
    over images and classes, "clean": the test accuracy}. `n_images` as in `evaluate`.
    """
    from ..analysis.interval_bounds import bounds
    from ..training.evaluation import accuracy, logits_at
    from . import ranges, settings

    ranges.check_arguments(size=size, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        images, labels = settings.test_images(model, n_images)
        network = settings.trained(model)
        found = bounds(network, images, labels, size)
        return {
            "verified": found.verified.double().mean().item(),
            "logit_width": found.widths.mean().item(),
            "clean": accuracy(logits_at(network, {}, images), labels),
        }
