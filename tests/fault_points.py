"""Small fault campaigns on digits: a network that was not trained, its faults, and their counts by the naive loop."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import safetensors.torch
import xxhash

from gridrun.architectures import digits_cnn
from gridrun.faults.injection import layer_shapes
from gridrun.faults.naive import naive_counts
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.tasks import campaign, settings
from gridrun.tasks.weights import SavedWeights


def network(folder: Path) -> dict[str, Any]:
    """The point of a network whose weights are written into a folder."""
    point = digits_cnn.make(channels=[4, 4], hidden=[16])
    data = safetensors.torch.save(settings.network(point).state_dict())
    path = folder / "weights.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return campaign.trained_network({**point, "weights": SavedWeights(path, xxhash.xxh3_128_hexdigest(data))})


def faults(point: dict[str, Any], n: int) -> list[WeightFault]:
    """n different faults in the upper bits, in all layers."""
    shapes, draw = layer_shapes(settings.network(point["model"])), random.Random(0)
    found: dict[WeightFault, None] = {}
    while len(found) < n:
        layer = draw.choice(list(shapes))
        place = tuple(map(draw.randrange, shapes[layer]))
        found[WeightFault(layer, place, draw.randrange(20, 32), draw.choice(["flip", "stuck1"]))] = None
    return list(found)


def by_the_naive_loop(point: dict[str, Any], listed: list[WeightFault], n_images: int) -> list[Counts]:
    images, labels = settings.splits(point["model"]).test
    model = settings.trained(point["model"])
    return list(naive_counts(model, images[:n_images], listed, 64, labels[:n_images]))
