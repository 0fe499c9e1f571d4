"""The heartbeats of `ecg`, tested on patients of whom no beat was trained on.

Records are divided as de Chazal, O'Dwyer and Reilly did (IEEE Trans. Biomed. Eng. 51, 2004), with about the same mix of
beats on both sides; the validation beats come from the training records. Much harder than `ecg`, and nearer to what a
device meets. All 44 records should be there: few of them have fusion beats, and each side needs some.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .ecg import all_beats, parts
from .splits import Images, Splits

TEST_RECORDS = (
    *(100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234),
)


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """2,880 training and 320 test beats (n, 100, 2), of different patients.

    Raises FileNotFoundError where no record is, ValueError where a class is missing on one side.
    """
    beats = all_beats(data_dir)
    is_test = np.isin(beats["records"], TEST_RECORDS)
    return parts(beats, np.flatnonzero(~is_test), np.flatnonzero(is_test), validation_fraction)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The test beats alone."""
    return load(data_dir).test
