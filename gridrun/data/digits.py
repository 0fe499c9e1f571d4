"""Handwritten digits, 8x8 pixels of 0..16 (UCI; Alpaydin and Kaynak 1998), as scikit-learn ships them:
nothing to fetch.

1,257 training and 540 test images: scikit-learn's `train_test_split(test_size=0.3, random_state=0)`,
stratified by label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .splits import Images, Splits, standardized, validation_split

MEAN, STD = 0.3056, 0.3761  # of the training pixels / 16


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """Images (n, 1, 8, 8), standardised; `data_dir` is not used.

    >>> splits = load()
    >>> len(splits.train[1]), splits.validation, len(splits.test[1])
    (1257, None, 540)
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError("the digits come with scikit-learn: pip install scikit-learn") from error

    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels.reshape(-1, 8, 8) / 16
    parts = train_test_split(pixels, labels, test_size=0.3, random_state=0, stratify=labels)
    train, validation = validation_split(_tensors(parts[0], parts[2]), validation_fraction)
    return Splits(train, validation, _tensors(parts[1], parts[3]), n_classes=10)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The 540 test images and their labels."""
    return load().test


def _tensors(pixels: np.ndarray, labels: np.ndarray) -> Images:
    return standardized(pixels, MEAN, STD), torch.from_numpy(labels).long()
