"""The faults of one layer, each on images of its own: only what a fault changes of them goes on behind the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from .channel import channels, same_bits
from .cut import Cut, cut_at, why_not_batched
from .golden import GoldenWalk
from .graph import Graph
from .layer_faults import LayerFaults, run_affected
from .layout import rows
from .plan import Planner
from .selftest import channel_widths, replaced_is_golden, suffix_is_golden
from .suffix import padded
from .survivors import Found, Survivors

MOST_ROWS, WIDTH = 32, 16  # images and faults whose channels are computed at once


class Picked:
    """Golden values of some images of a walk, `index` (n,), as another walk of one batch would give them."""

    def __init__(self, walk: GoldenWalk, index: Tensor) -> None:
        self.walk, self.index = walk, index

    def of(self, node: fx.Node, batch: int = 0) -> Any:
        """The value of one step."""
        value = golden_of(self.walk, node)
        return value if node.op == "get_attr" or not isinstance(value, Tensor) else rows(value, self.index)


def golden_of(walk: GoldenWalk, node: fx.Node) -> Any:
    """The value of a step for all images of a walk; a constant, or a number, is the same for all of them."""
    value = walk.of(node, 0)
    return walk.all(node) if isinstance(value, Tensor) and node.op != "get_attr" else value


@dataclass(frozen=True)
class PairLayer:
    """How pairs of faults in one layer and images are judged.

    sizes: of batches in which images keep their bits, rising. n_rows: how many images channels are computed of at
    once; 0 where the whole layer is.
    """

    graph: Graph
    cut: Cut
    sizes: tuple[int, ...]
    n_rows: int

    def __str__(self) -> str:
        return "channels" if self.n_rows else "whole layer"

    @property
    def first(self) -> int:
        """The position of the step that reads the weight."""
        return self.graph.position[self.cut.sources[0]]

    def run(
        self, walk: GoldenWalk, faults: LayerFaults, fault: Tensor, image: Tensor, pairs: Tensor, found: Found
    ) -> None:
        """Tell `found` the logits of the pairs that a fault may change.

        fault, image, pairs: of each pair the place of its fault in `faults`, rising, of its image in the walk, and the
        name under which it is told, all (pairs,).
        """
        survivors = Survivors(self.graph, self.cut, partial(golden_of, walk), self.sizes, found)
        way = self._by_channel if self.n_rows else self._by_layer
        way(walk, faults, fault, image, pairs, survivors)
        survivors.flush()

    def _by_channel(
        self, walk: GoldenWalk, faults: LayerFaults, fault: Tensor, image: Tensor, pairs: Tensor, survivors: Survivors
    ) -> None:
        golden = walk.all(self.cut.end)
        for block, (_, outs, kernels) in enumerate(faults.blocks(WIDTH)):
            mine = (fault // WIDTH == block).nonzero()[:, 0]
            for part in mine.split(self.n_rows):
                picked, which = Picked(walk, padded(image[part], self.n_rows)), fault[part] - block * WIDTH
                maps = channels(self.graph, self.cut, picked.of, outs, kernels)
                maps = maps[torch.arange(len(part), device=which.device), which]
                changed = _differ(maps, golden[image[part], outs[which]])
                survivors.add(pairs[part[changed]], image[part[changed]], outs[which[changed]], maps[changed])

    def _by_layer(
        self, walk: GoldenWalk, faults: LayerFaults, fault: Tensor, image: Tensor, pairs: Tensor, survivors: Survivors
    ) -> None:
        golden = walk.all(self.cut.end)
        for place, weight in faults.weights():
            for part in (fault == place).nonzero()[:, 0].split(self.sizes[-1]):
                (index,) = full(image[part], self.sizes)
                picked = cast(GoldenWalk, Picked(walk, index))
                end = run_affected(self.graph, self.cut.chain, picked, 0, {faults.weight: weight})[: len(part)]
                changed = _differ(end, rows(golden, image[part]))
                every = torch.full_like(part[changed], -1)
                survivors.add(pairs[part[changed]], image[part[changed]], every, end[changed])


def _differ(maps: Tensor, golden: Tensor) -> Tensor:
    """The rows of `maps` that are not the golden ones to the last bit, by number."""
    same = same_bits(maps.contiguous(), golden.contiguous())
    return (~same.flatten(1).all(1)).nonzero()[:, 0]


def full(index: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """`index` in batches of the largest of `sizes` (rising); the last is filled up, with its last entry, to a size.

    >>> [batch.tolist() for batch in full(torch.arange(11), (4, 8))]
    [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 10]]
    """
    return [padded(part, next(size for size in sizes if size >= len(part))) for part in index.split(sizes[-1])]


def pair_layer(planner: Planner, weight: Tensor, sizes: tuple[int, ...]) -> PairLayer | None:
    """The way of a layer, tested on the first images; None where faults of several images may not share a batch."""
    if not sizes or not isinstance(weight, nn.Parameter) or planner.plan(weight) is None:
        return None
    cut = cut_at(planner.graph, weight, planner.probe)
    if cut.why:
        return None
    n_rows = max([size for size in sizes if size <= MOST_ROWS], default=sizes[0])
    images = next(iter(planner.samples.values()))
    images = rows(images, torch.arange(n_rows, device=images.device) % len(images))
    if not suffix_is_golden(planner.graph, cut, images, sizes[0]):
        return None
    is_apart = channel_widths(planner.graph, cut, images, (WIDTH,))
    if not is_apart and not replaced_is_golden(planner.graph, cut.chain, weight, images):
        return None
    return PairLayer(planner.graph, cut, sizes, n_rows if is_apart else 0)


def safe_sizes(planner: Planner) -> tuple[tuple[int, ...], list[int]]:
    """Sizes of batches in which images keep all their bits, rising, and the lengths of the naive batches they are from.

    Nothing where some step is not known to treat each image alone: then no test can say so.
    """
    graph, nothing = planner.graph, ((), list[int]())
    steps = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr")]
    if any(why_not_batched(graph, node, planner.probe) for node in steps):
        return nothing
    safe, lengths = set(planner.sizes), list[int]()
    for length in planner.samples:  # the usual one first
        sizes = {s for s in safe if not planner.changed_at(length, s)}
        if sizes:
            safe, lengths = sizes, [*lengths, length]
    return (tuple(sorted(safe)), lengths) if lengths else nothing
