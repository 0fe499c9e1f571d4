"""Reading WAV files of speech: 16-bit samples of one channel."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np


def read_wave(path: Path, rate_hz: int) -> np.ndarray:
    """The samples (n,) within -1..1 of a WAV file; ValueError names one that is damaged, or of another rate."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks beside the sound
            found, samples = wavfile.read(path)
    except Exception as error:  # a damaged header raises anything
        raise ValueError(f"{path} cannot be read as a WAV file: {type(error).__name__}: {error}") from error
    if found != rate_hz or samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(
            f"{path} has {found} Hz, {samples.dtype}, shape {samples.shape}; want {rate_hz} Hz, int16, one channel"
        )
    return amplitudes(samples)


def amplitudes(samples: np.ndarray) -> np.ndarray:
    """16-bit samples as numbers within -1..1, the loudest of them -1.

    >>> amplitudes(np.array([-32768, 16384], np.int16)).tolist()
    [-1.0, 0.5]
    """
    return samples.astype(np.float64) / 32768


def stamp_of(paths: list[Path]) -> str:
    """A line for each file that changes when the file does: for the key of what is made from it."""
    stats = ((path, path.stat()) for path in paths)
    return "\n".join(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
