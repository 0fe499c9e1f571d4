"""Counts of each fault, built up from the images whose outcome was computed; all others are as without the fault."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .verdicts import Counts, predictions, verdicts


def outcomes(golden: Tensor, logits: Tensor, labels: Tensor | None) -> Tensor:
    """One row of 0 and 1 for each image, shape (n, 6): the fields of Counts behind n_injections."""
    found = list(verdicts(golden, logits))
    right = torch.zeros_like(found[0]) if labels is None else predictions(logits) == labels
    return torch.stack([*found, right], 1).long()


class Tally:
    """Running counts of some faults over some images, on the device of the logits.

    golden: logits (images, classes); labels: (images,) or None; numbers: of the faults to be counted.
    """

    def __init__(self, golden: Tensor, labels: Tensor | None, numbers: Sequence[int]) -> None:
        self.golden = golden
        self.labels = None if labels is None else labels.to(golden.device)
        self.usual = outcomes(golden, golden, self.labels)  # a golden NaN is not masked, even without a fault
        self.place = {number: i for i, number in enumerate(numbers)}
        self.totals = self.usual.sum(0).expand(len(numbers), -1).clone()

    def add(self, places: Tensor, images: Tensor, logits: Tensor, first_image: int = 0) -> None:
        """The logits (n, classes) of fault `places[i]` on image `first_image + images[i]`, not the golden ones."""
        images = images + first_image
        labels = None if self.labels is None else self.labels[images]
        found = outcomes(self.golden[images], logits, labels)
        self.totals.index_add_(0, places, found - self.usual[images])

    def non_critical(self, places: Tensor, n: Tensor) -> None:
        """So many images of each fault have other logits and the same prediction; places and n: (faults,)."""
        self.totals[:, 0].index_add_(0, places, -n)
        self.totals[:, 1].index_add_(0, places, n)

    def counts(self, number: int) -> Counts:
        """The counts of one fault, over all images."""
        return Counts(len(self.golden), *self.totals[self.place[number]].tolist())
