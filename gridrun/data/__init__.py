"""Data sets by name. `KNOWN` says their shapes without loading anything; `load` reads one.

>>> KNOWN["fashion_mnist"].sample_shape
(1, 28, 28)
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .splits import Images, Splits


@dataclass(frozen=True)
class About:
    """What a data set looks like; `load(data_dir, validation_fraction)` of the file `module` reads it, and
    `test_images(data_dir)` its test images alone.

    A sample is an image (channels, rows, columns) or a sequence (time, channels).

    >>> KNOWN["synthetic_ecg"].image_shape
    Traceback (most recent call last):
    ValueError: synthetic_ecg: sequences (time, channels) = (100, 2), not images
    """

    module: str
    sample_shape: tuple[int, ...]
    n_classes: int
    source: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image; ValueError for sequences."""
        if not self.is_images:
            raise ValueError(f"{self.module}: sequences (time, channels) = {self.sample_shape}, not images")
        channels, rows, columns = self.sample_shape
        return channels, rows, columns

    @property
    def is_images(self) -> bool:
        """Whether samples are images, not sequences."""
        return len(self.sample_shape) == 3


KNOWN = {
    "digits": About("digits", (1, 8, 8), 10, "scikit-learn's copy of the UCI handwritten digits, offline"),
    "fashion_mnist": About("fashion_mnist", (1, 28, 28), 10, "Xiao, Rasul, Vollgraf 2017, from its four IDX files"),
    "mnist": About("mnist", (1, 28, 28), 10, "LeCun, Cortes, Burges 1998, from its four IDX files"),
    "cifar10": About("cifar10", (3, 32, 32), 10, "Krizhevsky 2009, from its pickles for Python"),
    "cifar100": About("cifar100", (3, 32, 32), 100, "Krizhevsky 2009, from its pickles for Python"),
    "gtsrb": About("gtsrb", (3, 50, 50), 43, "Stallkamp and others 2011, from its photographs"),
    "synthetic_ecg": About("synthetic_ecg", (100, 2), 4, "synthetic heartbeats on two leads, offline"),
    "tones": About("tones", (98, 40), 8, "synthetic spoken tones as MFCC, offline"),
    "ecg": About("ecg", (100, 2), 4, "MIT-BIH Arrhythmia Database, Moody and Mark 2001, beats of its records"),
    "ecg_by_record": About("ecg_by_record", (100, 2), 4, "the same, tested on other patients: de Chazal 2004"),
    "speech_commands": About("speech_commands", (98, 40), 8, "Warden 2018, v0.02, six words from its WAV files"),
    "spoken_digits": About("spoken_digits", (98, 40), 10, "Free Spoken Digit Dataset, Jackson and others"),
    "speech_kws01": About("speech_kws01", (49, 10), 12, "1,000 clips of Speech Commands as MLPerf Tiny's MFCC"),
}


def about(name: str) -> About:
    """The entry of `KNOWN`; an unknown name is a ValueError that lists the names."""
    if name not in KNOWN:
        raise ValueError(f"no data set {name!r}; there are {', '.join(KNOWN)}")
    return KNOWN[name]


def load(
    name: str, data_dir: str | Path | None = None, validation_fraction: float = 0.0, augmentation: int = 0
) -> Splits:
    """Training, validation and test samples of a data set, standardised, as tensors.

    `data_dir` (or the environment variable GRIDRUN_DATA, or ./data) is where files that must be fetched are
    looked for, in torchvision's layout. `validation_fraction` of the training samples, 0 to below 1, is set
    aside for validation; after that, each training image comes `augmentation` times more, turned and mirrored (see
    augmentation.py).
    """
    from .augmentation import augmented

    return augmented(_module(name).load(data_dir, validation_fraction), augmentation)


def test_images(name: str, data_dir: str | Path | None = None) -> Images:
    """Test images (or sequences), standardised, and labels of a data set; the training files of images need not be
    there.
    """
    return _module(name).test_images(data_dir)


test_images.__test__ = False  # type: ignore[attr-defined]  # a test of nothing, whatever pytest thinks


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"gridrun.data.{about(name).module}")
