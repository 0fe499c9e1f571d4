"""Tensors picked and joined along their first dimension, in the layout that they have in memory.

A tensor in another layout (channels first or last, tokens turned about) takes other kernels, which give other bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class StrangeLayout(ValueError):
    """A tensor whose rows cannot be picked or joined without changing its layout in memory."""


def rows(tensor: Tensor, index: Tensor) -> Tensor:
    """Rows of `tensor`, in the same layout."""
    if tensor.is_contiguous():
        return tensor.index_select(0, index)
    order = _order(tensor)
    return tensor.permute(order).index_select(0, index).permute(_back(order))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """The rows of all parts, one after the other, in the same layout.

    >>> turned = torch.zeros(2, 5, 3).transpose(1, 2)
    >>> joined([turned, turned]).shape, joined([turned, turned]).stride() == turned.stride()
    (torch.Size([4, 3, 5]), True)
    """
    if all(part.is_contiguous() for part in parts):
        return torch.cat(tuple(parts))
    orders = {tuple(_order(part)) for part in parts}
    if len(orders) > 1:
        raise StrangeLayout(f"parts in different layouts: {', '.join(map(str, orders))}")
    order = list(orders.pop())
    return torch.cat([part.permute(order) for part in parts]).permute(_back(order))


def _order(tensor: Tensor) -> list[int]:
    """The dimensions from the slowest in memory to the fastest; the first has to be that of the rows."""
    order = sorted(range(tensor.dim()), key=lambda d: -tensor.stride(d))
    if order[0] != 0 or not tensor.permute(order).is_contiguous():
        raise StrangeLayout(f"shape {tuple(tensor.shape)} with strides {tensor.stride()}")
    return order


def _back(order: Sequence[int]) -> list[int]:
    return [order.index(d) for d in range(len(order))]
