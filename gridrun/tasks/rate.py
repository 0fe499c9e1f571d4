"""The critical rate of a network, estimated step by step; what was measured is stored, a block of faults at a time.

A killed estimate goes on where it was, and one with a narrower interval, or more confidence, re-uses what it can: what
the faults of a seed are shown depends on nothing else (see faults.estimate).
"""

from __future__ import annotations

import copy
import fnmatch
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import UsageError, cachable, run
from ..errors import among
from .campaign import KEYS, FaultRow, NetworkKey, Point, load, row_of

if TYPE_CHECKING:
    import numpy as np

    from ..faults.estimate import Plan, State
    from ..faults.pairs import Pairs
    from ..faults.strata import WeightBits
    from ..faults.verdicts import Counts
    from ..faults.weight_fault import WeightFault

    Shapes = Mapping[str, tuple[int, ...]]

# Measured for ResNet20 on one core: 100 faults take 3.1 ms each with one image, 4.6 with two, 16.3 with eight, where an
# inference of the naive loop takes 1.2; so a fault costs as much as one more image, and one image a fault is enough for
# the allocation to choose from. 100 faults of two images are a step of half a second.
FAULT_COST, MIN_IMAGES, BLOCK = 1.0, 1, 100


def plan_of(n_images: int) -> Plan:
    """The plan of an estimate on the engine, a block of faults at a time."""
    from ..faults.estimate import Plan

    pilot_images = min(2, n_images)
    costs = Plan(n_images, FAULT_COST, pilot_images=pilot_images, min_images=MIN_IMAGES)
    return replace(costs, block=BLOCK, faults_per_step=BLOCK)


def strata(shapes: Shapes, kinds: Sequence[str] = ("flip",), fmt: str = "fp32") -> dict[str, WeightBits]:
    """Strata by bits, and by kind of fault where there are several; kinds that strike the whole word have no bits.

    >>> {name: len(faults) for name, faults in strata({"conv": (2, 1, 3, 3)}, ("stuck0", "stuck1"), "bf16").items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'bits 14, stuck0': 18, 'bits 7-13, 15, stuck0': 144, 'bits 0-6, stuck0': 126,
     'bits 14, stuck1': 18, 'bits 7-13, 15, stuck1': 144, 'bits 0-6, stuck1': 126}
    """
    from ..faults.bits import WHOLE_WORD
    from ..faults.strata import BITS_OF, strata_of

    found = {}
    for kind in kinds:
        bits = {"all": (0,)} if kind in WHOLE_WORD else BITS_OF[fmt]
        for name, faults in strata_of(shapes, bits, kind=kind).items():
            found[name if len(kinds) == 1 else f"{name}, {kind}"] = faults
    return found


def layers_like(shapes: Shapes, patterns: str | None) -> dict[str, tuple[int, ...]]:
    """The layers that names or patterns, divided by commas, stand for. UsageError for one that stands for none.

    >>> list(layers_like({"conv1": (1,), "layer1.0.conv1": (1,), "fc": (1,)}, "layer1.*, fc"))
    ['layer1.0.conv1', 'fc']
    """
    wanted = ["*"] if patterns is None else [pattern.strip() for pattern in patterns.split(",")]
    for pattern in wanted:
        if not fnmatch.filter(shapes, pattern):
            raise UsageError(f"no layer {pattern!r}; {among(pattern, shapes)}")
    return {name: shape for name, shape in shapes.items() if any(fnmatch.fnmatchcase(name, p) for p in wanted)}


ARGUMENTS = ("{network_point}", "{faults}", "{images}", "{fmt}")


@cachable(dependencies=[*(f"network:{key}" for key in KEYS), "faults", "images", "fmt"])
def pair_counts(
    network: Mapping[str, Any], faults: Sequence[FaultRow], images: Sequence[Sequence[int]], fmt: str = "fp32"
) -> dict[str, Any]:
    """Counts of each fault on its own test images, by number, and how they came about.

    {"counts": int64 array (faults, 7), the columns those of faults.verdicts.Counts; "report": see faults.pairs}.
    """
    import numpy as np

    from ..faults.weight_fault import WeightFault
    from . import settings

    with settings.reproducible(network), settings.without_tf32():
        judge = _judge(NetworkKey(network), fmt)
        counts = judge.counts([WeightFault(*fault) for fault in faults], np.array(images))
        return {"counts": np.array(counts), "report": json.loads(json.dumps(judge.report, default=str))}


@functools.lru_cache(maxsize=1)
def _judge(key: NetworkKey, fmt: str) -> Pairs:
    """Of a process: the next block finds the self-tests done."""
    from ..faults.injection import stored_as
    from ..faults.pairs import Pairs

    model, (images, labels) = load(key)
    with stored_as(model, fmt):
        model = copy.deepcopy(model)
    return Pairs(model, images, labels, fmt=fmt)


class Measure:
    """What `faults.estimate.estimate_rate` asks: stored points are faults measured. `report`: how these came about."""

    def __init__(self, network: Mapping[str, Any], fmt: str = "fp32", cache_dir: Any = None) -> None:
        self.common = {"network_point": network, "fmt": fmt}
        self.options: dict[str, Any] = {"cache_dir": cache_dir, "progress": False}
        self.report: dict[str, Any] = {}

    def __call__(self, faults: Sequence[WeightFault], images: np.ndarray) -> list[Counts]:
        from ..faults.verdicts import Counts

        columns = columns_of(images.shape[1])
        rows = tuple(map(row_of, faults))
        grid = [
            {**self.common, "faults": rows[start:end], "images": numbers(images[start:end, first:last])}
            for start, end in ((start, start + BLOCK) for start in range(0, len(faults), BLOCK))
            for first, last in columns
        ]
        found = run(grid, pair_counts, **self.options)(*ARGUMENTS)
        for result in found:
            layers = {**self.report.get("layers", {}), **result["report"]["layers"]}
            self.report = {**result["report"], "layers": layers}
        parts = [[Counts(*row) for row in result["counts"].tolist()] for result in found]
        by_block = [parts[i : i + len(columns)] for i in range(0, len(parts), len(columns))]
        return [sum(of_fault[1:], of_fault[0]) for block in by_block for of_fault in zip(*block, strict=True)]


def columns_of(n: int) -> list[tuple[int, int]]:
    """The parts in which the images of a fault are stored, so that more images leave the first ones as they are.

    >>> columns_of(1), columns_of(8)
    ([(0, 1)], [(0, 1), (1, 2), (2, 4), (4, 8)])
    """
    ends = [0, *(2**k for k in range(n.bit_length()) if 2**k < n), n]
    return list(zip(ends, ends[1:]))


def numbers(images: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, images.tolist()))


def table(state: State, faults: Mapping[str, WeightBits]) -> list[Point]:
    """A row for each stratum: its share of all faults, what was measured of it, and its critical rate."""
    total, rows = sum(map(len, faults.values())), []
    for name, samples in state.samples().items():
        critical, images = samples
        rates = [k / n for k, n in zip(critical, images)]
        rows.append(
            {
                "stratum": name,
                "share": len(faults[name]) / total,
                "faults": len(images),
                "images": sum(images),
                "rate": sum(rates) / len(rates) if rates else None,
            }
        )
    return rows
