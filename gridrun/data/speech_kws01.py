"""A thousand clips of Speech Commands as stored MFCC: 49 frames of 10 coefficients, 8 bits each, twelve classes.

The inputs on which MLPerf Tiny measures keyword spotting (Banbury and others 2021, arXiv 2106.07597; published with
EEMBC's energyrunner). Read from `speech_kws01` under the data folder: either the published files tst_000000_Stop_7.bin,
or `kws01_mfcc_int8.npz` (`x` (1000, 49, 10) int8, `y` (1000,)). They are few and quick to load: a fifth of each class
is the test here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .folders import data_folder
from .mfcc import standardized_coefficients
from .parts import apart
from .splits import Images, Splits, validation_split

ADDRESS = "https://github.com/eembc/energyrunner/tree/main/datasets/kws01"
CLASSES = ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"]
N_CLASSES = len(CLASSES)
SHAPE = (49, 10)
TEST_FRACTION = 0.2
SEED = 0


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """About 800 training and 200 test clips (n, 49, 10), standardised by the training clips.

    Raises FileNotFoundError where the files are not.
    """
    train, test = _parts(data_dir)
    train, validation = validation_split(train, validation_fraction)
    return Splits(train, validation, test, N_CLASSES)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The test clips alone."""
    return _parts(data_dir)[1]


def _parts(data_dir: str | Path | None) -> tuple[Images, Images]:
    x, y = read(data_folder(data_dir) / "speech_kws01")
    staying, leaving = apart(y, TEST_FRACTION, np.random.default_rng(SEED))
    found = torch.from_numpy(standardized_coefficients(x.astype(np.float64), x[staying]))
    labels = torch.from_numpy(y.astype(np.int64))
    return (found[staying], labels[staying]), (found[leaving], labels[leaving])


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 49, 10) int8 and labels (n,), straight from the files; ValueError where they are damaged."""
    published, one_file = sorted(folder.glob("tst_*.bin")), folder / "kws01_mfcc_int8.npz"
    if published:
        return np.stack([_features(path) for path in published]), np.array([_label(path) for path in published])
    if not one_file.is_file():
        raise FileNotFoundError(
            f"no tst_*.bin and no kws01_mfcc_int8.npz in {folder.resolve()}: fetch the files of {ADDRESS}, "
            "or set data_dir or GRIDRUN_DATA to a folder that has them in speech_kws01"
        )
    try:
        with np.load(one_file, allow_pickle=False) as file:
            x, y = file["x"], file["y"]
    except Exception as error:  # a damaged archive raises anything
        raise ValueError(f"{one_file} cannot be read: {type(error).__name__}: {error}") from error
    if x.dtype != np.int8 or x.shape != (len(y), *SHAPE) or (y >= N_CLASSES).any():
        raise ValueError(f"{one_file} has {x.dtype} of shape {x.shape}; want int8 (n, 49, 10), classes 0 to 11")
    return x, y


def _features(path: Path) -> np.ndarray:
    data = np.frombuffer(path.read_bytes(), np.int8)
    if data.size != SHAPE[0] * SHAPE[1]:
        raise ValueError(f"{path} has {data.size} bytes, not 490")
    return data.reshape(SHAPE)


def _label(path: Path) -> int:
    """The class at the end of a file's name.

    >>> _label(Path("tst_000000_Stop_7.bin"))
    7
    """
    text = path.stem.rpartition("_")[2]
    if not text.isdigit() or int(text) >= N_CLASSES:
        raise ValueError(f"{path} says class {text!r}; there are 0 to {N_CLASSES - 1}")
    return int(text)
