"""Which faults TF32 hides: a GPU that multiplies in TF32 reads 10 of a weight's 23 bits of mantissa.

A fault that the rounding undoes is masked on such a device, for every image and without inference. Only this
prediction is offered, not a campaign in TF32: how a GPU adds up the products is not published, so logits would not be
its own. Nor does a device use TF32 everywhere: which layers do is chosen by its libraries, layer by layer (in the
published campaign of ResNet20, those of layer3), so a prediction is to be held against what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from .bits import tf32
from .comparison import Row
from .injection import checked, faulty_weight, weight_of
from .weight_fault import WeightFault


def is_hidden(model: nn.Module, faults: Iterable[WeightFault]) -> list[bool]:
    """Of each fault, whether the float32 weight rounds to the same TF32 number with it as without it.

    ValueError for a fault that the model cannot have.

    >>> import torch
    >>> model = nn.Linear(2, 1)
    >>> _ = nn.init.ones_(model.weight)
    >>> is_hidden(model, [WeightFault("", (0, 0), bit) for bit in (11, 12, 13, 30)])  # 1 + 2**-11 is a tie: away
    [True, False, False, False]
    """
    found = []
    for fault in faults:
        weight = weight_of(model, fault.layer)
        clean = weight.detach()[checked(fault, weight).index]
        struck = faulty_weight(weight, fault)
        found.append(bool(tf32(clean) == tf32(struck)))
    return found


def explained(rows: Iterable[Row], hidden: Iterable[WeightFault]) -> list[Row]:
    """Of a comparison's rows with unequal masked counts those that TF32 explains: it hides the fault, and in theirs
    all images are masked.

    hidden: the faults of which `is_hidden` holds.

    >>> from gridrun.faults.verdicts import Counts
    >>> fault, ours, theirs = WeightFault("conv", (0, 0), 3), Counts(9, 4, 5, 0), Counts(9, 9, 0, 0)
    >>> len(explained([Row(fault, ours, theirs)], {fault})), len(explained([Row(fault, theirs, ours)], {fault}))
    (1, 0)
    """
    of = set(hidden)
    apart = [row for row in rows if row.ours.masked != row.theirs.masked and row.fault in of]
    return [row for row in apart if row.theirs.masked == row.theirs.n_injections]
