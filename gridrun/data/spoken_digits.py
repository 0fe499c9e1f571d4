"""Free Spoken Digit Dataset (Jackson and others; CC BY-SA 4.0): 3,000 clips of ten digits by six speakers, as MFCC.

Read from `fsdd` under the data folder: either the repository's folder `recordings` of WAV files
digit_speaker_index.wav, 8 kHz, or `fsdd.npz`, the same clips in one file (`audio` int16 with the clips end to end,
`offset`, `digit`, `index`). Its own rule makes the first five clips of each speaker and digit (index 0 to 4) the test:
300, of the same speakers as the 2,700 training clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .folders import data_folder, md5_of
from .mfcc import FEATURES_VERSION, features, standardized_coefficients
from .prepared import Arrays, prepared
from .splits import Images, Splits, validation_split
from .waves import amplitudes, read_wave, stamp_of

ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset"
RATE_HZ = 8000
N_CLASSES = 10
N_TEST_INDICES = 5
NAMES = ["features", "digit", "index"]


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """2,700 training and 300 test clips as features (n, 98, 40), standardised by the training clips.

    Raises FileNotFoundError where the files are not.
    """
    train, test = _parts(data_dir)
    train, validation = validation_split(train, validation_fraction)
    return Splits(train, validation, test, N_CLASSES)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The 300 test clips."""
    return _parts(data_dir)[1]


def _parts(data_dir: str | Path | None) -> tuple[Images, Images]:
    arrays = _features(data_folder(data_dir) / "fsdd")
    is_test = arrays["index"] < N_TEST_INDICES
    found = standardized_coefficients(arrays["features"], arrays["features"][~is_test])
    x, y = torch.from_numpy(found), torch.from_numpy(arrays["digit"].astype(np.int64))
    train, test = (torch.from_numpy(np.flatnonzero(which)) for which in (~is_test, is_test))
    return (x[train], y[train]), (x[test], y[test])


def _features(folder: Path) -> Arrays:
    waves, one_file = sorted((folder / "recordings").glob("[0-9]_*_*.wav")), folder / "fsdd.npz"
    if waves:
        stamp, read = stamp_of(waves), lambda: from_waves(waves)
    elif one_file.is_file():
        stamp, read = stamp_of([one_file]), lambda: from_npz(one_file)
    else:
        raise FileNotFoundError(
            f"no recordings/*.wav and no fsdd.npz in {folder.resolve()}: git clone {ADDRESS} fsdd in {folder.parent}, "
            "or set data_dir or GRIDRUN_DATA to a folder that has it"
        )
    return prepared(f"spoken_digits/1/{FEATURES_VERSION}/{md5_of(stamp.encode())}", NAMES, read)


def from_waves(paths: list[Path]) -> Arrays:
    """Features, digits and indices of files digit_speaker_index.wav."""
    marks = np.array([[int(path.name[0]), int(path.stem.rpartition("_")[2])] for path in paths])
    return _arrays((read_wave(path, RATE_HZ) for path in paths), marks[:, 0], marks[:, 1])


def from_npz(path: Path) -> Arrays:
    """The same from one file; ValueError where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            audio, offset, digit, index = (file[name] for name in ("audio", "offset", "digit", "index"))
    except Exception as error:  # a damaged archive raises anything
        raise ValueError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    sounds = (amplitudes(audio[start:end]) for start, end in zip(offset, offset[1:], strict=False))
    return _arrays(sounds, digit, index)


def _arrays(sounds: Iterator[np.ndarray], digit: np.ndarray, index: np.ndarray) -> Arrays:
    found = features(at_16_khz(sound) for sound in sounds)
    return {"features": found, "digit": digit.astype(np.uint8), "index": index.astype(np.int64)}


def at_16_khz(sound: np.ndarray) -> np.ndarray:
    """A sound of 8 kHz at twice the rate: (2 n,)."""
    from scipy.signal import resample_poly

    return resample_poly(sound, 2, 1)
