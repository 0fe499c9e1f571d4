"""The faults of one layer: which images can still change, by its one output channel or by the whole layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from .channel import channels, same_bits
from .cut import Cut
from .golden import GoldenWalk
from .graph import Graph, Values
from .screen import Screen
from .survivors import Survivors


@dataclass(frozen=True)
class LayerFaults:
    """Faults of one weight, sorted by output channel.

    places: of each in the tally, (f,); index: of the weight, (f, dimensions); values: the faulty ones, (f,).
    """

    weight: nn.Parameter
    places: Tensor
    index: Tensor
    values: Tensor

    def blocks(self, width: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(places, outs, kernels) of at most `width` faults; outs and kernels are filled up with the last fault's."""
        for start in range(0, len(self.places), width):
            index, values = self.index[start : start + width], self.values[start : start + width]
            missing = width - len(index)
            index = torch.cat([index, index[-1:].expand(missing, -1)])
            kernels = self.weight.detach().index_select(0, index[:, 0])
            kernels[(torch.arange(width, device=index.device), *index[:, 1:].T)] = torch.cat(
                [values, values[-1:].expand(missing)]
            )
            yield self.places[start : start + width], index[:, 0], kernels

    def weights(self) -> Iterator[tuple[int, Tensor]]:
        """(place, the whole weight with one fault in it), one after the other."""
        for place, index, value in zip(self.places.tolist(), self.index.tolist(), self.values):
            faulty = self.weight.detach().clone()
            faulty[tuple(index)] = value
            yield place, faulty.requires_grad_(self.weight.requires_grad)  # some products go by it


def by_channel(
    graph: Graph,
    cut: Cut,
    faults: LayerFaults,
    walk: GoldenWalk,
    batches: list[int],
    width: int,
    survivors: Survivors,
    screen: Screen | None = None,
) -> None:
    """Give `survivors` the images that each fault changes at the end of the chain, from the one channel it changes.

    screen: takes away those whose verdict is foreseen.
    """
    for places, outs, kernels in faults.blocks(width):
        for b in batches:
            maps = channels(graph, cut, partial(walk.of, batch=b), outs, kernels)[:, : len(places)]
            golden = walk.of(cut.end, b).index_select(1, outs[: len(places)])
            changed = ~same_bits(maps.contiguous(), golden.contiguous()).flatten(2).all(2)
            if screen is not None:
                changed &= ~screen.judge(changed, maps, golden, places, outs[: len(places)], walk.starts[b])
            fault, image = changed.T.nonzero(as_tuple=True)
            if len(fault):
                survivors.add(places[fault], image + walk.starts[b], outs[fault], maps[image, fault])


def by_layer(
    graph: Graph, cut: Cut, faults: LayerFaults, walk: GoldenWalk, batches: list[int], survivors: Survivors
) -> None:
    """The same from the whole layer, computed in the batches of the naive loop."""
    for place, weight in faults.weights():
        for b in batches:
            end = run_affected(graph, cut.chain, walk, b, {faults.weight: weight})
            changed = ~same_bits(end.contiguous(), walk.of(cut.end, b).contiguous()).flatten(1).all(1)
            image = changed.nonzero()[:, 0]
            if len(image):
                every = torch.full_like(image, -1)
                survivors.add(torch.full_like(image, place), image + walk.starts[b], every, end[image])


def run_affected(
    graph: Graph, steps: tuple, walk: GoldenWalk, batch: int, replaced: dict[nn.Parameter, Tensor]
) -> Tensor:
    """The value of the last of `steps`, run on one batch of the naive loop from golden values."""
    values: Values = {}
    for i, step in enumerate(steps):
        inputs = {n: values[n] if n in values else walk.of(n, batch) for n in step.all_input_nodes}
        values[step] = graph.run(step, inputs, replaced)
        position = graph.position[step]
        for node in [n for n in values if graph.last_use[n] <= position and i < len(steps) - 1]:
            del values[node]
    return values[steps[-1]]
