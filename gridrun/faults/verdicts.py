"""What a fault did to each image, judged against the fault-free (golden) run. Labels play no part in a verdict.

masked        the logits are equal (-0 equals 0; a NaN equals nothing)
non_critical  they differ, the prediction is the same
critical      the prediction differs (SDC-1)

Beside these: due, a NaN or infinity among the logits (a detectable unrecoverable error); sdc5, a prediction that is
not among the golden run's first five (SDC-5; both after Li et al., SC 2017).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Counts(NamedTuple):
    """How many images met which verdict; counts add up.

    n_injections = masked + non_critical + critical. correct: right answers under the fault, where labels were given.

    >>> Counts(3, 2, 1, 0) + Counts(1, 0, 0, 1, due=1)
    Counts(n_injections=4, masked=2, non_critical=1, critical=1, due=1, sdc5=0, correct=0)
    """

    n_injections: int
    masked: int
    non_critical: int
    critical: int
    due: int = 0
    sdc5: int = 0
    correct: int = 0

    def __add__(self, other: object) -> Counts:
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def __radd__(self, other: object) -> Counts:
        """So that sum() works, which starts from 0."""
        return self if other == 0 else NotImplemented


def all_masked(n_images: int, correct: int = 0) -> Counts:
    """The counts of a fault that is masked by proof; `correct`: right answers of the golden run.

    >>> all_masked(10_000)[:4]
    (10000, 10000, 0, 0)
    """
    return Counts(n_images, n_images, 0, 0, correct=correct)


class Verdicts(NamedTuple):
    """One truth value an image, shape (images,); the first three exclude each other and cover all images."""

    masked: Tensor
    non_critical: Tensor
    critical: Tensor
    due: Tensor
    sdc5: Tensor


def predictions(logits: Tensor) -> Tensor:
    """The class of each image, shape (images,): the first maximum, and NaN counts as the maximum.

    >>> predictions(torch.tensor([[0.0, 2.0, 2.0], [3.0, float("nan"), 9.0]])).tolist()
    [1, 1]
    """
    return logits.argmax(1)


def verdicts(golden: Tensor, logits: Tensor, tolerance: float = 0.0) -> Verdicts:
    """Judge logits (images, classes) under a fault against those of the golden run.

    tolerance: logits that differ by no more than this count as equal; another prediction is critical all the same.

    >>> golden = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    >>> found = verdicts(golden, torch.tensor([[-0.0, 1.0], [0.5, 1.0], [2.0, 1.0]]))
    >>> found.masked.tolist(), found.critical.tolist()
    ([True, False, False], [False, False, True])
    """
    if golden.shape != logits.shape or golden.dim() != 2:
        raise ValueError(f"golden logits {tuple(golden.shape)}, logits {tuple(logits.shape)}: want (images, classes)")
    equal = golden == logits
    if tolerance:
        equal |= (golden - logits).abs() <= tolerance
    predicted = predictions(logits)
    critical = predictions(golden) != predicted
    masked = equal.all(1) & ~critical
    return Verdicts(
        masked, ~masked & ~critical, critical, ~torch.isfinite(logits).all(1), _outside_first(5, golden, predicted)
    )


def counts(golden: Tensor, logits: Tensor, labels: Tensor | None = None, tolerance: float = 0.0) -> Counts:
    """The number of each verdict, and of right answers where `labels` (images,) are given."""
    found = torch.stack(verdicts(golden, logits, tolerance)).sum(1).tolist()
    correct = 0 if labels is None else int((predictions(logits) == labels.to(logits.device)).sum())
    return Counts._make([len(golden), *found, correct])


def _outside_first(n: int, golden: Tensor, predicted: Tensor) -> Tensor:
    """Whether a prediction is not among the golden run's first n classes (equal logits: the earlier class first)."""
    order = golden.sort(dim=1, descending=True, stable=True).indices[:, :n]
    return ~(order == predicted.unsqueeze(1)).any(1)
