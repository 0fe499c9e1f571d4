"""Arithmetic of boxes: what W x + b can be where each number is only known to lie between two others.

A box is a pair of tensors, low <= high, number by number. Bounds are computed in double precision and then widened by
more than their rounding can amount to: for a sum of n products, taken in any order,

    |computed - exact| <= gamma(n) * (sum of |products|),      gamma(n) = n u / (1 - n u)

(Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1; underflow aside). u is the unit roundoff:
with `DOUBLE` bounds hold for networks in exact arithmetic; with `SINGLE` they are wider, and hold for networks computed
in float32 too, products summed up in any order (so not for TF32, nor for fast convolutions by transforms).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

DOUBLE, SINGLE = 2.0**-53, 2.0**-24
Multiply = Callable[[Tensor, Tensor], Tensor]  # x (batch, inputs ...) and W (outputs, ...) to W x (batch, outputs ...)


class Box(NamedTuple):
    """Every tensor from `low` to `high`."""

    low: Tensor
    high: Tensor

    def map(self, rising: Callable[[Tensor], Tensor]) -> Box:
        """Through a function that never falls in any of its arguments, such as ReLU or a maximum.

        >>> Box(torch.tensor([-1.0]), torch.tensor([2.0])).map(torch.relu)
        Box(low=tensor([0.]), high=tensor([2.]))
        """
        return Box(rising(self.low), rising(self.high))

    def times(self, factor: float) -> Box:
        """Multiplied by a number of either sign."""
        ends = self.low * factor, self.high * factor
        return Box(*ends) if factor >= 0 else Box(*reversed(ends))

    def plus(self, other: Box) -> Box:
        return Box(self.low + other.low, self.high + other.high)

    def widened(self, by: Tensor | float) -> Box:
        return Box(self.low - by, self.high + by)

    def magnitude(self) -> Tensor:
        """The largest of the absolute values."""
        return torch.maximum(self.low.abs(), self.high.abs())


def point(tensor: Tensor) -> Box:
    """The box of this tensor alone, in double precision."""
    return Box(tensor.double(), tensor.double())


def around(theta: Tensor, size: float) -> Box:
    """Every theta' with |theta' - theta| <= size |theta|, in double precision.

    >>> around(torch.tensor([-2.0, 0.0]), 0.5)
    Box(low=tensor([-3.,  0.], dtype=torch.float64), high=tensor([-1.,  0.], dtype=torch.float64))
    """
    theta = theta.detach().double()
    return Box(theta - size * theta.abs(), theta + size * theta.abs())


def gamma(n_roundings: int, unit_roundoff: float) -> float:
    """The relative error of so many roundings one after the other, at most."""
    return n_roundings * unit_roundoff / (1 - n_roundings * unit_roundoff)


def affine(x: Box, weight: Box, bias: Box, multiply: Multiply, unit_roundoff: float = DOUBLE) -> tuple[Box, Tensor]:
    """Every W x + b, and by how much these bounds have to be widened for rounding. weight[0]: those of one sum.

    >>> x, w, b = torch.tensor([[-1.0]]), torch.tensor([[2.0]]), torch.tensor([9.0])
    >>> box, slack = affine(point(x), around(w, 0.5), point(b), torch.nn.functional.linear)
    >>> box.low.item(), box.high.item(), 0 < slack.item() < 1e-13  # w from 1 to 3
    (6.0, 8.0, True)
    """
    box, size = product(x, weight, multiply)
    slack = 2 * gamma(weight.low[0].numel() + 16, unit_roundoff)  # twice, since `size` is rounded itself
    return box.plus(bias), slack * (size + bias.magnitude())


def product(x: Box, weight: Box, multiply: Multiply) -> tuple[Box, Tensor]:
    """Every W x, and what the |products| of each sum amount to at most. Exact but for numbers of which both factors
    can have either sign."""
    box, size = _of_nonnegative(x.map(torch.relu), weight, multiply)
    if bool((x.low < 0).any()):
        minus, more = _of_nonnegative(x.times(-1).map(torch.relu), weight, multiply)
        box, size = box.plus(minus.times(-1)), size + more
    return box, size


def _of_nonnegative(x: Box, weight: Box, multiply: Multiply) -> tuple[Box, Tensor]:
    """`product` for x >= 0: W x is least for the least W, and then for the least x where that W > 0."""
    up, down = (weight.map(part) for part in (torch.relu, lambda w: w.clamp(max=0)))
    top, bottom = multiply(x.high, torch.cat([up.high, down.low])).chunk(2, 1)  # two in one pass over x
    low, high = multiply(x.low, torch.cat([up.low, down.high])).chunk(2, 1)
    return Box(low + bottom, top + high), top - bottom
