"""What this machine's arithmetic allows, found out on the real layers, shapes and images before a campaign.

Sharing a batch is exact where the bits of an image's values depend neither on the size of its batch nor on the place in
it; computing one channel alone is exact where its bits do not depend on the channels beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from .channel import channels, has_channels, same_bits
from .cut import Cut
from .golden import GoldenWalk
from .graph import Graph
from .layer_faults import run_affected
from .layout import StrangeLayout, rows
from .suffix import run_suffix


def same_as_model(graph: Graph, images: Tensor, golden: Tensor) -> bool:
    """Whether the graph gives the model's own logits, bit for bit."""
    return bool(same_bits(GoldenWalk(graph, [images]).of(graph.output, 0), golden).all())


@torch.no_grad()
def changed_steps(graph: Graph, images: Tensor, size: int) -> set[fx.Node]:
    """The steps whose bits differ between `images` (n, ...), in one batch, and in batches of `size`, in another order.

    Every image has its turn: the last ones of a batch may go through other code than the rest.
    """
    n = len(images)
    order = torch.arange(n - 1, -1, -1, device=images.device)
    parts = order[torch.arange(-(-n // size) * size, device=images.device) % n].split(size)
    one = GoldenWalk(graph, [images])
    other = GoldenWalk(graph, [images.index_select(0, part) for part in parts])
    changed = set()
    for i, node in enumerate(graph.nodes):
        if node is not graph.input:
            whole = one.of(node, 0)
            if not all(_same_rows(whole, other.of(node, b), part, n) for b, part in enumerate(parts)):
                changed.add(node)
        one.advance(i)
        other.advance(i)
    return changed


def _same_rows(value: object, picked: object, index: Tensor, n: int) -> bool:
    if not isinstance(value, Tensor) or not isinstance(picked, Tensor):
        return True
    if value.dim() == 0 or len(value) != n or not value.is_floating_point():
        return value.shape == picked.shape
    if len(picked) != len(index):
        return False
    return bool(same_bits(value.index_select(0, index).contiguous(), picked.contiguous()).all())


@torch.no_grad()
def suffix_is_golden(graph: Graph, cut: Cut, images: Tensor, size: int) -> bool:
    """Whether golden maps at the cut, picked from two batches of `size` in another order, lead to golden logits."""
    n = 2 * size
    images = images.index_select(0, torch.arange(n, device=images.device) % len(images))
    index = torch.arange(n - 1, -1, -2, device=images.device)
    walk = GoldenWalk(graph, images.split(size))
    try:
        logits = run_suffix(graph, cut, rows(walk.all(cut.end), index), walk.all, index)
        return bool(same_bits(logits, walk.all(graph.output)[index]).all())
    except StrangeLayout:
        return False


@torch.no_grad()
def replaced_is_golden(graph: Graph, steps: tuple[fx.Node, ...], weight: nn.Parameter, images: Tensor) -> bool:
    """Whether `steps`, which begin where the weight is read, give the same bits with a copy of it in its place."""
    walk = GoldenWalk(graph, [images])
    end = run_affected(graph, steps, walk, 0, {weight: weight.detach().clone().requires_grad_(weight.requires_grad)})
    return bool(same_bits(end.contiguous(), walk.of(steps[-1], 0).contiguous()).all())


@torch.no_grad()
def channel_widths(graph: Graph, cut: Cut, images: Tensor, widths: Sequence[int]) -> list[int]:
    """The numbers of output channels that can be computed by themselves with the bits of the whole layer."""
    if not has_channels(graph, cut):
        return []
    walk = GoldenWalk(graph, [images])
    return [width for width in widths if _same_channels(graph, cut, walk, width)]


def _same_channels(graph: Graph, cut: Cut, walk: GoldenWalk, width: int) -> bool:
    weight: Tensor = graph.module(cut.sources[0]).weight  # type: ignore[union-attr]
    golden = walk.of(cut.end, 0)
    starts = range(0, len(weight), max(1, len(weight) // 4))
    for start in starts:  # neighbours, as sorted faults are, some of them twice
        outs = (start + torch.arange(width, device=weight.device) // 2) % len(weight)
        maps = channels(graph, cut, lambda node: walk.of(node, 0), outs, weight.detach().index_select(0, outs))
        if maps.shape[2:] != golden.shape[2:] or not same_bits(maps.contiguous(), golden[:, outs].contiguous()).all():
            return False
    return True
