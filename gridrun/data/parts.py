"""Samples set apart by class, classes made equal in number (for data sets that come without parts of their own), and
fewer samples with the classes as they were."""

from __future__ import annotations

import math

import numpy as np

Index = np.ndarray  # places of samples (n,) int64


def apart(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> tuple[Index, Index]:
    """Places of the samples that stay and of those set apart, `fraction` of each class (rounded), both sorted.

    A class with any samples at all leaves one on each side if it has two.

    >>> stay, leave = apart(np.array([0] * 8 + [1] * 4), 0.25, np.random.default_rng(0))
    >>> len(stay), len(leave), sorted([*stay.tolist(), *leave.tolist()]) == list(range(12))
    (9, 3, True)
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction={fraction!r}: want 0 <= fraction < 1")
    if fraction == 0:
        return np.arange(len(labels)), np.arange(0)
    leaving = []
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        n = min(max(round(len(places) * fraction), 1), len(places) - 1)
        leaving.append(places[:n])
    leave = np.sort(np.concatenate(leaving)) if leaving else np.arange(0)
    return np.setdiff1d(np.arange(len(labels)), leave), leave


def balanced(labels: np.ndarray, per_class: int, n_classes: int, rng: np.random.Generator) -> Index:
    """Places of `per_class` samples of each class, in random order: chosen at random from a class that has more,
    all of them and some again from one that has fewer.

    Raises ValueError for a class without samples.

    >>> chosen = balanced(np.array([0, 0, 0, 1]), 2, 2, np.random.default_rng(0))
    >>> sorted(chosen.tolist())[2:], len(set(chosen[chosen < 3].tolist()))
    ([3, 3], 2)
    """
    chosen = []
    for label in range(n_classes):
        places = np.flatnonzero(labels == label)
        if len(places) == 0:
            raise ValueError(f"class {label} has no samples")
        rounds = [rng.permutation(places) for _ in range(math.ceil(per_class / len(places)))]
        chosen.append(np.concatenate([np.arange(0), *rounds])[:per_class])
    return rng.permutation(np.concatenate(chosen))


def fewer(labels: np.ndarray, n: int, seed: int = 0) -> Index:
    """Places of `n` samples, sorted, with the classes in proportion; those of fewer are among those of more.

    Raises ValueError for a number below 1 or above that of the samples.

    >>> labels = np.array([0] * 80 + [1] * 20)
    >>> labels[fewer(labels, 10)].tolist(), set(fewer(labels, 10)) <= set(fewer(labels, 11))
    ([0, 0, 0, 0, 0, 0, 0, 0, 1, 1], True)
    """
    if not 1 <= n <= len(labels):
        raise ValueError(f"{n!r} of {len(labels)} samples: want a number from 1 to {len(labels)}, or None for all")
    rng, height = np.random.default_rng(seed), np.zeros(len(labels))
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        height[places] = (np.arange(len(places)) + 0.5) / len(places)
    return np.sort(np.argsort(height, kind="stable")[:n])
