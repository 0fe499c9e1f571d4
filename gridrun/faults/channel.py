"""The one output channel that a faulty weight of a convolution can change, for several faults at once.

Each fault gives one kernel; the kernels together are a convolution of their own, on the golden input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from .cut import Cut
from .graph import Graph

Golden = Callable[[fx.Node], Tensor]


def has_channels(graph: Graph, cut: Cut) -> bool:
    """Whether the layer is a plain Conv2d, whose output channels can be computed apart."""
    module = graph.module(cut.sources[0])
    return graph.kind(cut.sources[0]) == "Conv2d" and getattr(module, "padding_mode", "") == "zeros"


def channels(graph: Graph, cut: Cut, golden: Golden, outs: Tensor, kernels: Tensor) -> Tensor:
    """Maps (n, k, height, width) at the end of the chain: channel `outs[j]` with `kernels[j]` in place of its own.

    kernels: (k, in channels / groups, kernel height, kernel width).
    """
    source = cut.sources[0]
    maps = _convolved(graph.module(source), golden(source.all_input_nodes[0]), outs, kernels)
    for before, step in zip(cut.chain, cut.chain[1:]):
        maps = _step(graph, step, before, maps, golden, outs)
    return maps


def _convolved(conv: Any, x: Tensor, outs: Tensor, kernels: Tensor) -> Tensor:
    bias = None if conv.bias is None else conv.bias[outs]
    groups = 1
    if conv.groups > 1:
        per_group = conv.in_channels // conv.groups
        first = outs // (conv.out_channels // conv.groups) * per_group
        x = x.index_select(1, (first[:, None] + torch.arange(per_group, device=x.device)).flatten())
        groups = len(outs)
    return F.conv2d(x, kernels, bias, conv.stride, conv.padding, conv.dilation, groups)


def _step(graph: Graph, step: fx.Node, before: fx.Node, maps: Tensor, golden: Golden, outs: Tensor) -> Tensor:
    kind = graph.kind(step)
    if kind == "BatchNorm2d":
        return _normalized(graph.module(step), maps, outs)
    if kind == "add":
        parts = {before: maps}
        left, right = (parts[n] if n in parts else golden(n)[:, outs] for n in step.args)
        return left + right
    return graph.run(step, {before: maps})


def _normalized(norm: Any, maps: Tensor, outs: Tensor) -> Tensor:
    weight, bias, mean, var = (
        None if t is None else t[outs] for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    return F.batch_norm(maps, mean, var, weight, bias, mean is None, 0.0, norm.eps)


def same_bits(a: Tensor, b: Tensor) -> Tensor:
    """Element by element: the very same bits, so 0 is not -0 and a NaN equals the same NaN.

    >>> same_bits(torch.tensor([0.0, float("nan")]), torch.tensor([-0.0, float("nan")])).tolist()
    [False, True]
    """
    words = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return a.view(words) == b.view(words)
