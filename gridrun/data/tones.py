"""Spoken tones, nobody's voice: one-second clips of vowel-like sounds that glide into one another. Nothing to fetch.

Six "words" are the ordered pairs of three vowels (their first two formants, after Peterson and Barney, J. Acoust. Soc.
Am. 24, 1952), so that only the order tells some of them apart; "silence" is noise alone, "unknown" one vowel held.
Pitch, formants, onset, length, loudness and noise vary. The clips go the way of real speech (`mfcc`). They stand in
for `speech_commands` where there is no network; no result on them says anything about speech.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import torch

from .mfcc import FEATURES_VERSION, RATE_HZ, features, standardized_coefficients
from .prepared import Arrays, prepared
from .splits import Images, Splits, validation_split

VOWELS_HZ = {"a": (730, 1090), "i": (270, 2290), "u": (300, 870)}
WORDS = [first + second for first, second in permutations(VOWELS_HZ, 2)]
CLASSES = ["silence", "unknown", *WORDS]
N_CLASSES = len(CLASSES)
N_TRAIN, N_TEST = 800, 240
SEED = 0


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """800 training and 240 test clips as features (n, 98, 40), standardised; as many of each class."""
    arrays = _features()
    train, validation = validation_split(_images(arrays, "train"), validation_fraction)
    return Splits(train, validation, _images(arrays, "test"), N_CLASSES)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The 240 test clips and their classes."""
    return _images(_features(), "test")


def clips(n: int, seed: int) -> Iterator[np.ndarray]:
    """`n` clips (16000,) within -1..1, of classes 0 to 7 in turn.

    >>> [len(clip) for clip in clips(2, seed=0)]
    [16000, 16000]
    """
    rng = np.random.default_rng(seed)
    return (clip(CLASSES[i % N_CLASSES], rng) for i in range(n))


def clip(name: str, rng: np.random.Generator) -> np.ndarray:
    """One clip (16000,) of a word, "unknown" or "silence"."""
    noise = rng.normal(0, rng.uniform(0.005, 0.03), RATE_HZ)
    if name == "silence":
        return noise
    vowel = rng.choice(list(VOWELS_HZ)) if name == "unknown" else ""
    return noise + word(name if name in WORDS else 2 * vowel, rng)


def word(vowels: str, rng: np.random.Generator) -> np.ndarray:
    """Two vowels, one gliding into the other half-way, within a second (16000,)."""
    length = int(rng.uniform(0.4, 0.7) * RATE_HZ)
    onset = int(rng.uniform(0.05, 0.95) * (RATE_HZ - length))
    u = np.linspace(0, 1, length)
    glide = 1 / (1 + np.exp(-(u - rng.uniform(0.4, 0.6)) / 0.05))
    first, second = (np.array(VOWELS_HZ[vowel]) * rng.lognormal(0, 0.08, 2) for vowel in vowels)
    formants = first[:, None] * (1 - glide) + second[:, None] * glide  # (2, length), Hz
    pitch = rng.uniform(90, 250) * (1 + rng.uniform(-0.2, 0.2) * u)
    voice = 1 + np.cos(_phase(pitch))  # pulses of the vocal cords, as loudness
    sound = voice * (np.sin(_phase(formants[0])) + 0.5 * np.sin(_phase(formants[1])))
    spoken = np.zeros(RATE_HZ)
    spoken[onset : onset + length] = rng.uniform(0.05, 0.25) * np.sin(np.pi * u) * sound
    return spoken


def _phase(hertz: np.ndarray) -> np.ndarray:
    return 2 * np.pi * np.cumsum(hertz) / RATE_HZ


def _features() -> Arrays:
    key = f"tones/1/{FEATURES_VERSION}/{N_TRAIN}/{N_TEST}/{SEED}"
    return prepared(key, ["train", "test"], lambda: {"train": _made(N_TRAIN, SEED), "test": _made(N_TEST, SEED + 1)})


def _made(n: int, seed: int) -> np.ndarray:
    return features(clips(n, seed))


def _images(arrays: Arrays, part: str) -> Images:
    labels = torch.arange(len(arrays[part])) % N_CLASSES
    return torch.from_numpy(standardized_coefficients(arrays[part], arrays["train"])), labels
