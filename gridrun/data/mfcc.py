"""Mel-frequency cepstral coefficients of clips of one second, with scipy alone.

Windows of 30 ms every 10 ms, the magnitudes of their spectrum through 40 triangles evenly spaced in mel between 20 Hz
and 4 kHz, the logarithm, a cosine transform: (98, 40) a clip. Of these the last is the usual way of Davis and
Mermelstein (IEEE Trans. ASSP 28, 1980), the numbers are those of TensorFlow's speech commands (Warden 2018), which the
networks of Buechel, Faber and Muir (ICLR 2022) were trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import scipy.fft
import scipy.sparse

RATE_HZ = 16_000
WINDOW, STRIDE = 480, 160  # samples: 30 and 10 ms
N_FFT = 512
N_FILTERS = N_COEFFICIENTS = 40
LOWEST_HZ, HIGHEST_HZ = 20.0, 4000.0
FLOOR = 1e-12  # under the logarithm
N_FRAMES = 1 + (RATE_HZ - WINDOW) // STRIDE

FEATURES_VERSION = 1  # of everything here that changes a coefficient


def mel(hertz: np.ndarray | float) -> np.ndarray | float:
    """Pitch in mel, 1127 ln(1 + f / 700).

    >>> float(round(mel(1000.0), 1)), float(round(mel(700.0), 2))
    (1000.0, 781.18)
    """
    return 1127.0 * np.log1p(np.divide(hertz, 700.0))


@cache
def filters() -> np.ndarray:
    """The triangles, (40, 257): row i rises from corner i to 1 at corner i + 1 and falls to 0 at corner i + 2.

    The 42 corners are evenly spaced in mel; sides are straight in mel too.
    """
    corners = np.linspace(mel(LOWEST_HZ), mel(HIGHEST_HZ), N_FILTERS + 2)
    bins = mel(np.arange(N_FFT // 2 + 1) * RATE_HZ / N_FFT)
    rising = (bins - corners[:-2, None]) / (corners[1] - corners[0])
    return np.maximum(np.minimum(rising, 2 - rising), 0)


def mfcc(clips: np.ndarray) -> np.ndarray:
    """Coefficients (n, 98, 40) float32 of clips (n, 16000), amplitudes within -1..1.

    >>> mfcc(np.zeros((2, 16_000))).shape
    (2, 98, 40)
    """
    frames = np.lib.stride_tricks.sliding_window_view(clips, WINDOW, axis=-1)[:, ::STRIDE]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitudes = np.abs(scipy.fft.rfft(frames * hann, N_FFT, axis=-1))
    energies = np.log(np.maximum(_through_filters(magnitudes), FLOOR))
    return scipy.fft.dct(energies, type=2, norm="ortho", axis=-1).astype(np.float32)


def _through_filters(magnitudes: np.ndarray) -> np.ndarray:
    """Energies (..., 40) of magnitudes (..., 257). Sparse: 98 % of the filters are 0."""
    flat = magnitudes.reshape(-1, magnitudes.shape[-1])
    return (scipy.sparse.csr_array(filters()) @ flat.T).T.reshape(*magnitudes.shape[:-1], N_FILTERS)


def features(clips: Iterable[np.ndarray], at_once: int = 64) -> np.ndarray:
    """`mfcc` of clips one by one (each of any length, made one second long), in bundles that stay small."""
    bundles, bundle = [np.zeros((0, N_FRAMES, N_COEFFICIENTS), np.float32)], list[np.ndarray]()
    for clip in clips:
        bundle.append(one_second(clip))
        if len(bundle) == at_once:
            bundles.append(mfcc(np.stack(bundle)))
            bundle = []
    return np.concatenate([*bundles, *([mfcc(np.stack(bundle))] if bundle else [])])


def one_second(clip: np.ndarray) -> np.ndarray:
    """The middle second of a clip of 16 kHz, or the clip between equal silences.

    >>> one_second(np.ones(4)).shape, int(one_second(np.ones(4)).argmax()), one_second(np.arange(16_002.0))[0]
    ((16000,), 7998, np.float64(1.0))
    """
    excess = len(clip) - RATE_HZ
    if excess >= 0:
        return clip[excess // 2 : excess // 2 + RATE_HZ]
    return np.pad(clip, (-excess // 2, -excess - -excess // 2))


def standardized_coefficients(features: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Features (n, time, channels) less the training features' mean, over their std, channel by channel; float32.

    >>> training = np.array([[[0.0, 5.0], [2.0, 5.0]]])
    >>> standardized_coefficients(training, training).tolist()
    [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    mean, std = training.mean((0, 1), dtype=np.float64), training.std((0, 1), dtype=np.float64)
    return ((features - mean) / np.where(std > 0, std, 1)).astype(np.float32)
