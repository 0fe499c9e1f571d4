"""Fault campaigns as points of a grid: a block of faults on a chunk of images, whose counts are cached.

A campaign is resumed, extended to more faults or images, or spread over a cluster by running its grid: blocks that are
stored are not computed again. Counts are the naive loop's, bit for bit (see gridrun.faults.campaign).
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import MissingKey, cachable, get

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..faults.campaign import Campaign
    from ..faults.weight_fault import WeightFault

BLOCK, CHUNK = 128, 1000  # faults and images of a point: some ten seconds for ResNet20
BLOCKS = {"exact": BLOCK, "screened": 8 * BLOCK, "fused": 8 * BLOCK}  # faults; screening pays where a layer has many
Point = dict[str, Any]
KEYS = ("network", "dataset", "weights_id", "torch_threads", "device")  # of a network, that decide its results
FaultRow = tuple[str, tuple[int, ...], int, str, int]  # layer, index, bit, kind, mask


def published_network(
    name: str, dataset: str, weights: str | Path, data_dir: str | Path | None = None, device: str = "cpu"
) -> Point:
    """A network of the zoo with weights from a file, as a point; device: cpu or cuda.

    Raises MissingData if there is no such file.
    """
    import xxhash

    from .settings import MissingData

    try:
        checksum = xxhash.xxh3_128_hexdigest(Path(weights).read_bytes())
    except FileNotFoundError as error:
        raise MissingData(f"no weights of {name} at {weights}") from error
    files = {"weights_file": str(Path(weights).resolve()), "data_dir": data_dir and str(Path(data_dir).resolve())}
    run_on = {"torch_threads": 1, "device": device}
    return {"network": name, "dataset": dataset, "weights_id": checksum, **run_on, **files}


def trained_network(model: Mapping[str, Any]) -> Point:
    """A network that was trained here, from its point with results, as a point."""
    if "weights" not in model:
        raise MissingKey("this point has no weights: train it first, run(grid, 'train', store_key='*')('{*}')")
    named = {"network": get(model, "architecture"), "dataset": get(model, "dataset")}
    run_on = {"torch_threads": 1, "device": get(model, "device")}
    return {**named, "weights_id": model["weights"].checksum, **run_on, "model": dict(model)}


def blocks(
    network: Mapping[str, Any],
    faults: Sequence[WeightFault],
    n_images: int,
    fmt: str = "fp32",
    arithmetic: str = "exact",
    block: int | None = None,
    chunk: int = CHUNK,
) -> list[Point]:
    """The grid of a campaign, all blocks of the first chunk of images first; run `fault_counts` over it.

    It is the same whatever is stored; `stored_blocks.planned` asks the store first. block: faults of a point, by
    default those of BLOCKS; chunk: its images.

    >>> from gridrun.faults.weight_fault import WeightFault
    >>> faults = [WeightFault("fc", (0, i), 30) for i in range(3)]
    >>> [(len(p["faults"]), p["images"]) for p in blocks({}, faults, 5, block=2, chunk=4)]
    [(2, (0, 4)), (1, (0, 4)), (2, (4, 5)), (1, (4, 5))]
    """
    block = block or BLOCKS.get(arithmetic, BLOCK)
    rows = list(map(row_of, faults))
    common = {"network_point": network, "fmt": fmt, "arithmetic": arithmetic}
    return [
        {**common, "faults": tuple(rows[start : start + block]), "images": (first, min(first + chunk, n_images))}
        for first in range(0, n_images, chunk)
        for start in range(0, len(rows), block)
    ]


def row_of(fault: WeightFault) -> FaultRow:
    """A fault as a point has it."""
    return fault.layer, tuple(fault.index), fault.bit, fault.kind, fault.mask


ARGUMENTS = ("{network_point}", "{faults}", "{images}", "{fmt}", "{arithmetic}")


@cachable(dependencies=[*(f"network:{key}" for key in KEYS), "faults", "images", "fmt", "arithmetic"])
def fault_counts(
    network: Mapping[str, Any],
    faults: Sequence[FaultRow],
    images: tuple[int, int],
    fmt: str = "fp32",
    arithmetic: str = "exact",
) -> dict[str, Any]:
    """Counts of each fault on test images [first, last), and how they came about.

    {"faults": as given; "counts": int64 array (faults, 7), the columns those of faults.verdicts.Counts; "is_no_op":
    bool array (faults,), whether the word is the same with the fault (masked by proof); "n_correct": right answers
    without a fault; "report": see Campaign.report}. In fp16, bf16 or int8 all weights are stored as that format, and
    the golden run is that of the network so rounded.
    """
    import numpy as np

    from ..faults.injection import is_no_op
    from ..faults.verdicts import Counts, predictions
    from ..faults.weight_fault import WeightFault
    from . import settings

    listed = [WeightFault(*fault) for fault in faults]
    with settings.reproducible(network), settings.without_tf32():
        campaign = _campaign(NetworkKey(network), images, fmt, arithmetic)
        counts = np.zeros((len(faults), len(Counts._fields)), dtype=np.int64)
        for number, found in campaign.counts(listed):
            counts[number] = found
        return {
            "faults": tuple(faults),
            "counts": counts,
            "is_no_op": np.array([is_no_op(campaign.model, fault, fmt) for fault in listed]),
            "n_correct": int((predictions(campaign.golden) == campaign.labels).sum()),
            "report": json.loads(json.dumps(campaign.report, default=str)),
        }


class NetworkKey:
    """A network's point that is hashed by what decides its results."""

    def __init__(self, point: Mapping[str, Any]) -> None:
        self.point = point
        self.id = tuple(point[key] for key in KEYS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkKey) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@functools.lru_cache(maxsize=1)
def _campaign(key: NetworkKey, images: tuple[int, int], fmt: str, arithmetic: str) -> Campaign:
    """The campaign of a process: the next block of the same chunk finds its golden run done."""
    from ..faults.campaign import Campaign
    from ..faults.injection import stored_as

    model, (pictures, labels) = load(key)
    chosen = slice(*images)
    with stored_as(model, fmt):  # nothing but the fault shall differ from the golden run
        model = copy.deepcopy(model)
    return Campaign(model, pictures[chosen], labels[chosen], fmt=fmt, arithmetic=arithmetic)


@functools.lru_cache(maxsize=1)
def load(key: NetworkKey) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """A network with its weights, and the test images and labels of its data set."""
    from . import settings

    point = key.point
    with settings.mendable():
        if "model" in point:
            return settings.trained(point["model"]), settings.splits(point["model"]).test
        from ..data import test_images
        from ..nn import zoo

        model = zoo.network(point["network"], point["dataset"])
        zoo.load_weights(model, point["weights_file"]).to(point["device"])
        return model, test_images(point["dataset"], point["data_dir"])
