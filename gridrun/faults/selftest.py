"""What this machine's arithmetic allows, found out on the real layers, shapes and images before a campaign.

Sharing a batch is exact where the bits of an image's values depend neither on the size of its batch nor on the place in
it; computing one channel alone is exact where its bits do not depend on the channels beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from .channel import channels, has_channels, same_bits
from .cut import Cut
from .golden import GoldenWalk
from .graph import Graph
from .suffix import StrangeLayout, rows, run_suffix


def same_as_model(graph: Graph, images: Tensor, golden: Tensor) -> bool:
    """Whether the graph gives the model's own logits, bit for bit."""
    return bool(same_bits(GoldenWalk(graph, [images]).of(graph.output, 0), golden).all())


@torch.no_grad()
def changed_steps(graph: Graph, images: Tensor, size: int) -> set[fx.Node]:
    """The steps whose bits differ between `images` (n, ...), in one batch, and some of them in a batch of `size`."""
    index = torch.arange(size, 0, -1, device=images.device) % len(images)
    one, other = GoldenWalk(graph, [images]), GoldenWalk(graph, [images.index_select(0, index)])
    changed = set()
    for i, node in enumerate(graph.nodes):
        if node is not graph.input and not _same_rows(one.of(node, 0), other.of(node, 0), index, len(images)):
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
def suffix_is_golden(graph: Graph, cut: Cut, images: Tensor, golden: Tensor, size: int) -> bool:
    """Whether golden maps at the cut, picked in another order, lead to the golden logits (n, classes)."""
    walk = GoldenWalk(graph, [images])
    index = torch.arange(size, 0, -1, device=images.device) % len(images)
    try:
        logits = run_suffix(graph, cut, rows(walk.all(cut.end), index), walk.all, index)
    except StrangeLayout:
        return False
    return bool(same_bits(logits, golden[index]).all())


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
