"""Draws without replacement that a later, longer draw begins with: faults of a stratum, images of a fault."""

from __future__ import annotations

import numpy as np

from ..training.seeding import stream_seed

BLOCK = 100  # faults whose images are drawn together
LISTED = 100_000  # up to here a population is shuffled whole; above, drawn and drawn again when drawn before


def stream(seed: int, *labels: str | int) -> np.random.Generator:
    """NumPy's generator at the start of the named stream (see training/seeding)."""
    return np.random.default_rng(stream_seed(seed, *labels))


def distinct(size: int, n: int, seed: int, *labels: str | int) -> np.ndarray:
    """The first `n` numbers of a random order of 0..size - 1, which seed and labels fix whatever `n` is.

    >>> a, b = distinct(10**9, 5, 0), distinct(10**9, 500, 0)
    >>> bool((a == b[:5]).all()), len(set(b.tolist()))
    (True, 500)
    """
    if n > size:
        raise ValueError(f"{n} draws without replacement from {size}")
    if size <= LISTED:
        return stream(seed, *labels).permutation(size)[:n]
    found, asked = np.zeros(0, dtype=np.int64), n
    while len(found) < n:
        draws = stream(seed, *labels).integers(size, size=asked, dtype=np.int64)
        found = draws[np.sort(np.unique(draws, return_index=True)[1])]
        asked *= 2
    return found[:n]


def images_for(first: int, last: int, n: int, n_images: int, seed: int, *labels: str | int) -> np.ndarray:
    """`n` different images of 0..n_images - 1 for each of the faults numbered first..last - 1, (last - first, n).

    What a fault is shown depends on its number, the seed and the labels alone, and fewer images are the first of more
    (up to a quarter of all): so what was measured for one estimate serves another that asks for more.

    >>> some = images_for(3, 6, 4, 1000, 0)
    >>> [len(set(row)) for row in some.tolist()], bool((some == images_for(0, 300, 9, 1000, 0)[3:6, :4]).all())
    ([4, 4, 4], True)
    """
    if not 1 <= n <= n_images:
        raise ValueError(f"{n} different images of {n_images}")
    blocks = range(first // BLOCK, -(-last // BLOCK))
    rows = [np.zeros((0, n), dtype=np.int64), *(_block(n, n_images, seed, *labels, "block", b) for b in blocks)]
    return np.concatenate(rows)[first - first // BLOCK * BLOCK :][: last - first]


def _block(n: int, n_images: int, seed: int, *labels: str | int) -> np.ndarray:
    """The images of BLOCK faults: column by column, what a fault had before drawn again."""
    if 4 * n > n_images:
        return stream(seed, *labels).permuted(np.tile(np.arange(n_images), (BLOCK, 1)), axis=1)[:, :n]
    rows = np.zeros((BLOCK, n), dtype=np.int64)
    for column in range(n):
        random = stream(seed, *labels, column)
        again = np.ones(BLOCK, dtype=bool)
        while again.any():
            rows[again, column] = random.integers(n_images, size=int(again.sum()))
            again = (rows[:, :column] == rows[:, column : column + 1]).any(axis=1)
    return rows
