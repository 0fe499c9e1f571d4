"""MFCC against a slow computation straight from the definitions, and against published facts of mel filter banks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gridrun.data.mfcc import LOWEST_HZ, N_FFT, RATE_HZ, features, filters, mel, mfcc, one_second


def by_definition(clip: np.ndarray, frame: int) -> list[float]:
    """The 40 coefficients of one frame: sums of products, no library's transform."""
    samples = [clip[160 * frame + n] * math.sin(math.pi * n / 480) ** 2 for n in range(480)]  # sin**2: Hann's window
    magnitudes = []
    for k in range(257):
        turns = [2 * math.pi * k * n / 512 for n in range(480)]
        real = sum(s * math.cos(turn) for s, turn in zip(samples, turns, strict=True))
        imaginary = sum(s * math.sin(turn) for s, turn in zip(samples, turns, strict=True))
        magnitudes.append(math.hypot(real, imaginary))
    low, high = (2595 * math.log10(1 + f / 700) for f in (20, 4000))  # the same mel as the natural logarithm's
    corners = [low + (high - low) * i / 41 for i in range(42)]
    energies = []
    for left, centre, right in zip(corners, corners[1:], corners[2:], strict=False):
        energy = 0.0
        for k, magnitude in enumerate(magnitudes):
            place = 2595 * math.log10(1 + k * 31.25 / 700)
            if left < place < right:
                side = (place - left) / (centre - left) if place < centre else (right - place) / (right - centre)
                energy += side * magnitude
        energies.append(math.log(max(energy, 1e-12)))
    found = []
    for i in range(40):
        scale = math.sqrt((1 if i == 0 else 2) / 40)
        found.append(scale * sum(e * math.cos(math.pi * i * (j + 0.5) / 40) for j, e in enumerate(energies)))
    return found


def test_coefficients_by_their_definitions() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(RATE_HZ) / RATE_HZ
    clip = 0.3 * np.sin(2 * np.pi * (300 + 400 * t) * t) + 0.01 * rng.normal(size=RATE_HZ)
    ours = mfcc(clip[None])[0]
    for frame in (0, 41, 97):
        assert np.allclose(ours[frame], by_definition(clip, frame), rtol=1e-3, atol=2e-3)


def test_mel_as_published() -> None:
    """1000 Hz are 1000 mel (Stevens, Volkmann, Newman 1937); the rest from O'Shaughnessy's formula, 1987."""
    assert mel(1000.0) == pytest.approx(1000, abs=0.1)
    assert [mel(f) for f in (0.0, 500.0, 4000.0)] == pytest.approx([0, 607.45, 2146.1], abs=0.2)


def test_filters_are_overlapping_triangles() -> None:
    bank = filters()
    hertz = np.arange(N_FFT // 2 + 1) * RATE_HZ / N_FFT
    assert bank.shape == (40, 257) and bank.max() <= 1 and (bank.sum(1) > 0).all()
    inside = (hertz > 100) & (hertz < 3800)
    assert np.allclose(bank[:, inside].sum(0), 1)  # between the first and the last peak two neighbours share a bin
    assert (bank[:, (hertz <= LOWEST_HZ) | (hertz >= 4000)] < 1e-12).all()
    peaks = hertz[bank.argmax(1)]
    corners = 700 * (10 ** (np.linspace(31.75, 2146.08, 42) / 2595) - 1)  # in hertz, by mel's inverse
    assert np.abs(peaks - corners[1:-1]).max() <= 31.25  # within a bin of where they should be


@pytest.mark.parametrize("hertz", [440.0, 1000.0, 2500.0])
def test_a_pure_tone_is_loudest_in_the_filter_around_it(hertz: float) -> None:
    from scipy.fft import idct

    tone = np.sin(2 * np.pi * hertz * np.arange(RATE_HZ) / RATE_HZ)
    energies = idct(mfcc(tone[None])[0, 50], norm="ortho")
    assert energies.argmax() in np.argsort(filters()[:, round(hertz / 31.25)])[-2:]


def test_twice_as_loud_moves_the_first_coefficient_alone() -> None:
    rng = np.random.default_rng(0)
    clip = rng.normal(0, 0.1, (1, RATE_HZ))
    difference = mfcc(2 * clip) - mfcc(clip)
    assert np.allclose(difference[..., 0], math.log(2) * math.sqrt(40), atol=1e-4)
    assert np.allclose(difference[..., 1:], 0, atol=1e-4)


def test_bundles_are_the_clips_one_by_one() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=n) for n in (16_000, 12_001, 17_003, 500, 16_000)]
    together = features(iter(clips), at_once=2)
    alone = np.concatenate([mfcc(one_second(clip)[None]) for clip in clips])
    assert np.allclose(together, alone, atol=1e-4)
    assert features([]).shape == (0, 98, 40)


def test_a_clip_of_another_length_keeps_its_middle() -> None:
    assert one_second(np.arange(16_004.0))[[0, -1]].tolist() == [2, 16_001]
    padded = one_second(np.ones(3))
    assert padded.sum() == 3 and np.flatnonzero(padded).tolist() == [7998, 7999, 8000]
