"""Fault-free values of a chunk of images, computed in the batches of the naive loop, and forgotten early."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx

from .graph import Graph, Values
from .layout import joined


class GoldenWalk:
    """Values of the steps of `graph`, evaluated when asked for.

    batches: images (n, ...), as the naive loop has them.
    """

    def __init__(self, graph: Graph, batches: Sequence[Tensor]) -> None:
        self.graph = graph
        self.images = list(batches)  # kept, so that a forgotten value can be had again
        self.batches: list[Values] = [{} for _ in batches]
        self.starts = [0, *itertools.accumulate(map(len, batches))]
        self._joined: dict[fx.Node, Tensor] = {}

    def of(self, node: fx.Node, batch: int) -> Any:
        """The value of one step in one batch of the naive loop."""
        values = self.batches[batch]
        todo = [node]
        while todo:
            step = todo[-1]
            missing = [] if step in values else [n for n in step.all_input_nodes if n not in values]
            if missing:
                todo += missing
                continue
            todo.pop()
            if step not in values:
                is_input = step is self.graph.input
                values[step] = self.images[batch] if is_input else self.graph.run(step, values)
        return values[node]

    def all(self, node: fx.Node) -> Tensor:
        """A tensor of one step for all images of the chunk, kept in place of its parts; a constant as it is.

        Raises StrangeLayout for parts that cannot be joined as they lie in memory.
        """
        if len(self.batches) == 1 or node.op == "get_attr":
            return self.of(node, 0)
        if node not in self._joined:
            parts = [self.of(node, b) for b in range(len(self.batches))]
            self._joined[node] = joined(parts)
            for b, values in enumerate(self.batches):
                values[node] = self._joined[node][self.starts[b] : self.starts[b + 1]]
        return self._joined[node]

    def advance(self, position: int) -> None:
        """Walk up to `position` and forget what no step behind it reads."""
        last_use = self.graph.last_use
        for b, values in enumerate(self.batches):
            for node in self.graph.nodes[: position + 1]:
                if node not in values and last_use[node] > position:
                    self.of(node, b)
            for node in [n for n in values if last_use[n] <= position]:
                del values[node]
        for node in [n for n in self._joined if last_use[n] <= position]:
            del self._joined[node]
