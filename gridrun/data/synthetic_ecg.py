"""Synthetic heartbeats, no patient's: two leads, four kinds of beats, made of Gaussian bumps. Nothing to fetch.

A beat is a sum of five bumps, the waves P, Q, R, S and T, after McSharry, Clifford, Tarassenko and Smith (IEEE Trans.
Biomed. Eng. 50, 2003). The kinds follow what textbooks say of the classes of `ecg`: normal; supraventricular (early:
the P wave small, turned over and close, the T wave close); ventricular (no P wave, a broad QRS complex, the T wave
opposite to it); fusion (between a normal and a ventricular beat). Rate, widths, heights, noise and drift vary.
It stands in for real beats where there is no network; no result on it says anything about hearts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .splits import Images, Splits, validation_split

RATE_HZ, LENGTH, N_CLASSES = 180, 100, 4
N_TRAIN, N_TEST = 1600, 400
SEED = 0

# of the waves P, Q, R, S, T: time after the R peak and width in s, heights on each lead
NORMAL = {
    "time": [-0.17, -0.030, 0.0, 0.030, 0.20],
    "width": [0.022, 0.009, 0.011, 0.010, 0.035],
    "lead 1": [0.15, -0.12, 1.0, -0.20, 0.30],
    "lead 2": [0.08, -0.05, 0.35, -0.60, 0.20],
}
SUPRAVENTRICULAR = {
    "time": [-0.13, -0.030, 0.0, 0.030, 0.17],
    "width": [0.016, 0.009, 0.011, 0.010, 0.030],
    "lead 1": [-0.08, -0.12, 0.95, -0.25, 0.22],
    "lead 2": [0.02, -0.05, 0.35, -0.60, 0.15],
}
VENTRICULAR = {
    "time": [-0.17, -0.055, 0.0, 0.070, 0.21],
    "width": [0.022, 0.020, 0.030, 0.030, 0.045],
    "lead 1": [0.0, -0.15, 1.1, -0.45, -0.35],
    "lead 2": [0.0, 0.10, -0.8, 0.35, 0.30],
}


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """1,600 training and 400 test beats (n, 100, 2), as many of each kind; `data_dir` is not used.

    >>> splits = load()
    >>> splits.train[0].shape, splits.test[1].bincount().tolist()
    (torch.Size([1600, 100, 2]), [100, 100, 100, 100])
    """
    train, validation = validation_split(beats(N_TRAIN, SEED), validation_fraction)
    return Splits(train, validation, test_images(), N_CLASSES)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The 400 test beats and their kinds."""
    return beats(N_TEST, SEED + 1)


def beats(n: int, seed: int) -> Images:
    """`n` beats (n, 100, 2) at 180 Hz, the R peak near place 50, each lead of mean 0 and std 1; kinds 0 to 3 in turn.

    The kinds: 0 normal, 1 supraventricular, 2 ventricular, 3 fusion.
    """
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % N_CLASSES
    signals = _signals(kinds, rng) + _disturbance(n, rng)
    return torch.from_numpy(standardized_leads(signals)), torch.from_numpy(kinds)


def standardized_leads(windows: np.ndarray) -> np.ndarray:
    """Each lead of each window with mean 0 and std 1, as float32; a flat lead becomes 0. Windows (n, time, leads).

    >>> standardized_leads(np.array([[[1.0, 5.0], [3.0, 5.0]]])).tolist()
    [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    centred = windows - windows.mean(1, keepdims=True)
    std = centred.std(1, keepdims=True)
    return (centred / np.where(std > 0, std, 1)).astype(np.float32)


def _signals(kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sums of bumps (n, 100, 2), about 1 high."""
    n = len(kinds)
    share = _share_of_ventricular(kinds, rng)[:, None]
    early = (kinds == 1)[:, None]

    def mixed(key: str) -> np.ndarray:  # (n, 5)
        usual = np.where(early, SUPRAVENTRICULAR[key], NORMAL[key])
        return (1 - share) * usual + share * np.array(VENTRICULAR[key])

    slowness = rng.lognormal(0, 0.10, (n, 1))
    width = mixed("width") * rng.lognormal(0, 0.15, (n, 5))
    when = mixed("time") * slowness + rng.normal(0, 0.008, (n, 1))
    t = (np.arange(LENGTH) - LENGTH // 2)[None, :, None] / RATE_HZ
    bumps = np.exp(-0.5 * ((t - when[:, None]) / width[:, None]) ** 2)  # (n, 100, 5)
    heights = np.stack([mixed("lead 1"), mixed("lead 2")], 2) * rng.lognormal(0, 0.20, (n, 5, 2))
    return bumps @ heights


def _share_of_ventricular(kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much of a beat (n,) is ventricular: all of kind 2, a part of kind 3, nothing of the others."""
    return np.select([kinds == 2, kinds == 3], [np.ones(len(kinds)), rng.uniform(0.25, 0.75, len(kinds))], 0.0)


def _disturbance(n: int, rng: np.random.Generator) -> np.ndarray:
    """Breathing, a slow wave of up to 0.2, and white noise of 0.1, (n, 100, 2)."""
    t = np.arange(LENGTH)[None, :, None] / RATE_HZ
    slow = rng.uniform(0, 0.2, (n, 1, 2)) * np.sin(2 * np.pi * (0.3 * t + rng.uniform(0, 1, (n, 1, 2))))
    return slow + rng.normal(0, 0.1, (n, LENGTH, 2))
