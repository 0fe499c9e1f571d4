"""What the store has of a fault campaign, and what is left of it: more faults or images cost only themselves.

Blocks are kept with the faults and images that they counted, so a campaign of other rows or more images takes from
them what it can, and adds blocks for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .. import explain, open_store
from .campaign import ARGUMENTS, BLOCK, BLOCKS, CHUNK, KEYS, FaultRow, Point, fault_counts, row_of

if TYPE_CHECKING:
    from ..faults.verdicts import Counts
    from ..faults.weight_fault import WeightFault

Interval = tuple[int, int]  # of images, the last one excluded


def planned(
    network: Mapping[str, Any],
    faults: Sequence[WeightFault],
    n_images: int,
    fmt: str = "fp32",
    arithmetic: str = "exact",
    block: int | None = None,
    chunk: int = CHUNK,
    cache_dir: Any = None,
) -> list[Point]:
    """The grid of a campaign: stored blocks first, then blocks of what they lack; each (fault, image) is in one only.

    Run `fault_counts` over it, and add up by `totals`. A stored block may have faults beside those asked for.
    """
    common = {"network_point": network, "fmt": fmt, "arithmetic": arithmetic}
    block = block or BLOCKS.get(arithmetic, BLOCK)
    counted: dict[FaultRow, list[Interval]] = {row_of(fault): [] for fault in faults}
    grid = []
    for point in _stored(common, counted, n_images, cache_dir):
        mine = [counted[row] for row in point["faults"] if row in counted]
        if not any(_overlap(point["images"], interval) for intervals in mine for interval in intervals):
            grid.append(point)
            for intervals in mine:
                intervals.append(point["images"])
    rest: dict[Interval, list[FaultRow]] = {}
    for row, intervals in counted.items():
        for gap in gaps(intervals, n_images, chunk):
            rest.setdefault(gap, []).append(row)
    for images, rows in sorted(rest.items(), key=lambda item: item[0]):
        grid += [{**common, "faults": tuple(rows[i : i + block]), "images": images} for i in range(0, len(rows), block)]
    return grid


def _stored(common: Point, wanted: Mapping[FaultRow, Any], n_images: int, cache_dir: Any) -> list[Point]:
    """Blocks of this campaign that are stored and valid, the largest of each first image first."""
    found = [
        {**common, "faults": rows, "images": images}
        for rows, images in _kept(common, cache_dir)
        if images[1] <= n_images and not wanted.keys().isdisjoint(rows)
    ]
    states = explain(found, fault_counts, cache_dir=cache_dir)(*ARGUMENTS)
    valid = [point for point, state in zip(found, states) if state.state == "cached"]
    return sorted(valid, key=lambda point: (point["images"][0], -point["images"][1], -len(point["faults"])))


def _kept(common: Point, cache_dir: Any) -> Iterator[tuple[tuple[FaultRow, ...], Interval]]:
    """Faults and images of every result of this network, format and arithmetic."""
    network = common["network_point"]
    wanted = {f"network:{key}": network.get(key) for key in KEYS}
    wanted |= {key: common[key] for key in ("fmt", "arithmetic")}
    seen = set()
    for record in open_store(cache_dir).records("fault_counts"):
        known = record.dependencies
        if record.state != "done" or any(known.get(key) != value for key, value in wanted.items()):
            continue
        try:
            rows = tuple((layer, tuple(index), *rest) for layer, index, *rest in record.value()["faults"])
        except (OSError, KeyError):  # damaged: it is computed again
            continue
        block = rows, tuple(known["images"])
        if block not in seen:
            seen.add(block)
            yield block


def gaps(intervals: Iterable[Interval], n_images: int, chunk: int) -> Iterator[Interval]:
    """What disjoint intervals leave of the images 0 to n_images - 1, in pieces that end where chunks do.

    >>> list(gaps([(4, 6)], n_images=20, chunk=8))
    [(0, 4), (6, 8), (8, 16), (16, 20)]
    """
    ends = [(0, 0), *sorted(intervals), (n_images, n_images)]
    for (_, first), (last, _) in pairwise(ends):
        while first < last:
            end = min(last, (first // chunk + 1) * chunk)
            yield first, end
            first = end


def _overlap(a: Interval, b: Interval) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def totals(grid: Sequence[Point], results: Iterable[Mapping[str, Any]], faults: Sequence[WeightFault]) -> list[Counts]:
    """The counts of each fault, summed over the blocks of a campaign and their results."""
    from ..faults.verdicts import Counts

    found = {row_of(fault): Counts(0, 0, 0, 0) for fault in faults}
    for point, result in zip(grid, results, strict=True):
        for row, counted in zip(point["faults"], result["counts"], strict=True):
            if row in found:
                found[row] += Counts(*map(int, counted))
    return [found[row_of(fault)] for fault in faults]
