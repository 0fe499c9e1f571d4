"""Draws without replacement that a later, longer draw begins with: faults of a stratum, images of a fault."""

from __future__ import annotations

import numpy as np

from ..training.seeding import stream_seed

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


def images_for(n_faults: int, n: int, n_images: int, random: np.random.Generator) -> np.ndarray:
    """`n` different images of 0..n_images - 1 for each fault, (n_faults, n).

    >>> rows = images_for(3, 4, 10, np.random.default_rng(0))
    >>> rows.shape, [len(set(row)) for row in rows.tolist()]
    ((3, 4), [4, 4, 4])
    """
    if not 1 <= n <= n_images:
        raise ValueError(f"{n} different images of {n_images}")
    if n * n > n_images:
        return np.stack([random.permutation(n_images)[:n] for _ in range(n_faults)])
    rows = random.integers(n_images, size=(n_faults, n))
    while (again := _repeats(rows)).any():  # a row is taken whole or not at all, so every choice is as likely
        rows[again] = random.integers(n_images, size=(int(again.sum()), n))
    return rows


def _repeats(rows: np.ndarray) -> np.ndarray:
    """Whether a row holds a number twice, (rows,)."""
    ordered = np.sort(rows, axis=1)
    return (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
