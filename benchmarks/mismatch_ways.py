"""Ways to measure accuracy under mismatch, each on the same draws: (case, n draws) to accuracies in 0..1.

- the original's (jubueche/BPTT-Lipschitzness, experiment_utils.py): for each draw the data set is read anew, the
  network made anew, and the test images go through 500 at a time. Written anew, without its JAX and its loaders: the
  data set is read by ours.
- loop: data and network once, one draw after another.
- k at once: vmap over k draws, the images in the loop's batches, or in batches of 100.
- probe: whichever of these a short probe finds faster (`chunk=None`).
- threads and workers: the loop with two threads, and two processes of one thread that share the draws.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gridrun import data
from gridrun.faults.mismatch import accuracy_under_mismatch, scaled
from gridrun.faults.several import AT_ONCE
from gridrun.nn.cnn import CNN
from gridrun.nn.lsnn import LSNN
from gridrun.training.evaluation import accuracy, perturbed_of
from gridrun.training.seeding import generator

LEVEL, SEED, N_WORKERS, ORIGINALS_BATCH = 0.3, 0, 2, 500


@dataclass(frozen=True)
class Case:
    """A network on a data set: how many draws the ways take, how many the original's, and how many go at once."""

    name: str
    dataset: str
    make: Callable[[], nn.Module]
    n_draws: int
    n_few: int
    chunks: tuple[int, ...]
    validation_fraction: float = 0.0


CASES = {
    "digits_cnn": Case("digits CNN", "digits", lambda: CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64)), 60, 20, (5, 20)),
    "cnn": Case(
        "the paper's CNN on Fashion-MNIST",
        "fashion_mnist",
        lambda: CNN((1, 28, 28), 10, (64, 64), 4, ((2, 1), (0, 0)), (256, 64)),
        2,
        1,
        (2,),
        0.2,
    ),
    "lsnn": Case("LSNN of 32 neurons", "synthetic_ecg", lambda: LSNN((100, 2), 4, n_hidden=32), 40, 10, (5, 20, 40)),
}
Way = Callable[[Case, int], np.ndarray]


@cache
def setting(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """(network, test images, labels) of a case; the weights are random, which costs what trained ones do."""
    return CASES[name].make(), *data.test_images(CASES[name].dataset)


def loop(name: str, n: int, chunk: int | None = 1, batch_size: int | None = None) -> np.ndarray:
    """The first n draws."""
    model, images, labels = setting(name)
    return accuracy_under_mismatch(model, images, labels, LEVEL, n, SEED, batch_size, chunk)


@torch.no_grad()
def originals(name: str, n: int) -> np.ndarray:
    """The original's way."""
    return np.array([_original_draw(CASES[name], i) for i in range(n)])


def _original_draw(case: Case, i: int) -> float:
    images, labels = data.load(case.dataset, None, case.validation_fraction).test
    model = case.make()
    theta = scaled(perturbed_of(model), LEVEL, generator(SEED, "mismatch", i))
    logits = [functional_call(model, theta, (batch,)) for batch in images.split(ORIGINALS_BATCH)]
    return accuracy(torch.cat(logits), labels)


def threads(name: str, n: int) -> np.ndarray:
    """The loop with two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(N_WORKERS)
    try:
        return loop(name, n)
    finally:
        torch.set_num_threads(before)


def shared(name: str, n: int, pool: Executor) -> np.ndarray:
    """Draws shared by the workers of a pool, each of one thread; those of the first worker, to be compared."""
    parts = [pool.submit(_one_thread, name, n // N_WORKERS) for _ in range(N_WORKERS)]
    return [part.result() for part in parts][0]


def _one_thread(name: str, n: int) -> np.ndarray:
    torch.set_num_threads(1)
    return loop(name, n)


def ways(name: str, pool: Executor) -> dict[str, Callable[[], np.ndarray]]:
    """The ways of a case, by what the page calls them."""
    case = CASES[name]
    n = case.n_draws
    together = {f"{k} at once": partial(loop, name, n, k) for k in case.chunks}
    small = {f"{k} at once, batches of 100": partial(loop, name, n, k, 100) for k in case.chunks}
    probe = {"probe": partial(loop, name, n, None)} if n >= AT_ONCE else {}  # of fewer draws it is the loop
    cores = {"loop, 2 threads": partial(threads, name, n), "2 workers, loop": partial(shared, name, n, pool)}
    first = {"the original's way": partial(originals, name, case.n_few), "loop": partial(loop, name, n)}
    return {**first, **together, **small, **probe, **cores}


def is_here(name: str) -> bool:
    """Whether the case's data can be read."""
    return CASES[name].dataset != "fashion_mnist" or bool(os.environ.get("GRIDRUN_DATA"))
