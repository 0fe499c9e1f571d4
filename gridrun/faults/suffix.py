"""The part of a network behind a cut, run on survivors of several faults in one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, fx

from .cut import Cut
from .graph import Graph, Values
from .layout import rows


def run_suffix(graph: Graph, cut: Cut, end: Tensor, golden: Callable[[fx.Node], Tensor], index: Tensor) -> Tensor:
    """Logits (n, classes) behind `cut` for maps `end` (n, ...) of the images `index` (n,) of the golden chunk.

    `end` may be overwritten.
    """
    values: Values = {cut.end: end}
    for node in cut.boundary:
        values[node] = golden(node) if node.op == "get_attr" else rows(golden(node), index)
    if not cut.suffix:
        return end
    last_use = {n: i for i, step in enumerate(cut.suffix) for n in step.all_input_nodes}
    readers = Counter(n for step in cut.suffix for n in step.all_input_nodes)
    for i, step in enumerate(cut.suffix):
        result = _overwriting(graph, step, values, [n for n in step.all_input_nodes if readers[n] == 1])
        values[step] = graph.run(step, values) if result is None else result
        for node in step.all_input_nodes:
            if last_use[node] == i:
                values.pop(node, None)
    return values[cut.suffix[-1]]


def _overwriting(graph: Graph, step: fx.Node, values: Values, read_once: list[fx.Node]) -> Tensor | None:
    """A ReLU or a sum in the memory of a value that nothing else reads: the same bits, without new memory."""
    inputs = [values[n] for n in step.all_input_nodes]
    if torch.is_grad_enabled() or not all(isinstance(value, Tensor) for value in inputs):
        return None
    kind = graph.kind(step)
    own = [values[n] for n in read_once if graph.is_fresh(n)]
    if kind in ("ReLU", "relu") and own and set(step.kwargs) <= {"inplace"}:
        return torch.relu_(own[0])
    if kind == "add" and own and len(inputs) == len(step.args) == 2 and not step.kwargs:
        left, right = inputs
        if left.shape == right.shape and left.dtype == right.dtype and left.stride() == right.stride():
            return left.add_(right) if left is own[0] else right.add_(left)
    return None


def padded(index: Tensor, size: int) -> Tensor:
    """`index` with its last entry repeated until it has `size` entries.

    >>> padded(torch.tensor([3, 5]), 4).tolist()
    [3, 5, 5, 5]
    """
    return index if len(index) >= size else torch.cat([index, index[-1:].expand(size - len(index))])
