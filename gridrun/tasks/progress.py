"""A sign of life in the log of a cluster's job: a line an epoch, but one every ten seconds at most."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Mapping

EVERY_S = 10.0


class Progress:
    """Tells how far a training is, in a job (GRIDRUN_TASK is set there); it is silent anywhere else."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs
        self.begin = time.monotonic()
        self.due = self.begin if os.environ.get("GRIDRUN_TASK") else math.inf

    def tell(self, metrics: Mapping[str, float]) -> None:
        """Print a line about an epoch, if the last one is long enough ago."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + EVERY_S
        with contextlib.suppress(OSError):  # no room for the log: no reason to end the training
            print(line(metrics, self.n_epochs, now - self.begin), flush=True)


def line(metrics: Mapping[str, float], n_epochs: int, seconds: float) -> str:
    """An epoch in words.

    >>> line({"epoch": 3, "loss": 0.1234, "training_accuracy": 0.95}, 40, 12.3)
    'epoch 3/40  loss 0.123  training accuracy 0.95  12 s'
    """
    loss, accuracy = metrics["loss"], metrics["training_accuracy"]
    return f"epoch {metrics['epoch']}/{n_epochs}  loss {loss:.3g}  training accuracy {accuracy:.3g}  {seconds:.0f} s"
