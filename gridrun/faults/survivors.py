"""Images that a fault still can change, collected over several faults of a layer and run together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx

from .cut import Cut
from .graph import Graph
from .layout import rows
from .suffix import padded, run_suffix

Found = Callable[[Tensor, Tensor, Tensor], None]  # places of faults, images of the chunk, logits


class Survivors:
    """Faulty maps at the end of a cut's chain, waiting for a batch to be full.

    golden: the fault-free value of a step for all images of the chunk. sizes: of the batches that the self-test allows;
    what does not fill one is padded. found: is told the logits.
    """

    def __init__(
        self, graph: Graph, cut: Cut, golden: Callable[[fx.Node], Tensor], sizes: Sequence[int], found: Found
    ) -> None:
        self.graph, self.cut, self.golden, self.found = graph, cut, golden, found
        self.sizes = sorted(sizes)
        self.waiting: list[tuple[Tensor, ...]] = []
        self.n_waiting = 0

    def add(self, places: Tensor, images: Tensor, outs: Tensor, maps: Tensor) -> None:
        """Fault `places[i]` on image `images[i]`: `maps[i]`, of channel `outs[i]`, or of all where outs[i] is -1."""
        self.waiting.append((places, images, outs, maps))
        self.n_waiting += len(places)
        if self.n_waiting >= self.sizes[-1]:
            self._run_full()

    def flush(self) -> None:
        """Run what is waiting, too."""
        if self.n_waiting:
            self._run(*(torch.cat(parts) for parts in zip(*self.waiting)))
        self.waiting, self.n_waiting = [], 0

    def _run_full(self) -> None:
        size = self.sizes[-1]
        joined = [torch.cat(parts) for parts in zip(*self.waiting)]
        n_full = self.n_waiting // size * size
        for start in range(0, n_full, size):
            self._run(*(part[start : start + size] for part in joined))
        self.n_waiting -= n_full
        self.waiting = [tuple(part[n_full:].clone() for part in joined)] if self.n_waiting else []

    def _run(self, places: Tensor, images: Tensor, outs: Tensor, maps: Tensor) -> None:
        n = len(places)
        index = padded(images, next(size for size in self.sizes if size >= n))
        end = rows(self.golden(self.cut.end), index)
        if maps.dim() == end.dim():
            end[:n] = maps
        else:
            end[torch.arange(n, device=end.device), outs] = maps
        self.found(places, images, run_suffix(self.graph, self.cut, end, self.golden, index)[:n])
