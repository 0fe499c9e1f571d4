"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017; MIT licence): 60,000 training and 10,000 test images of 28x28
grey pixels.

Its four IDX files are read from `FashionMNIST/raw` under the data folder (torchvision's layout), gzipped or
not, checked by MD5, and kept decoded for the next time.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from .idx import read_idx
from .prepared import Arrays, prepared
from .splits import Images, Splits, standardized, validation_split

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
MEAN, STD = 0.2860, 0.3530  # of the training pixels / 255

FILES = {  # part: name, MD5 of the gzipped file as published, MD5 of the plain file
    "train_images": (
        "train-images-idx3-ubyte",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        "25c81989df183df01b3e8a0aad5dffbe",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    "test_images": (
        "t10k-images-idx3-ubyte",
        "bef4ecab320f06d8554ea6380940ec79",
        "8181f5470baa50b63fa0f6fddb340f0a",
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        "bb300cfdad3c16e7a12a480ee83cd310",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """Images (n, 1, 28, 28), standardised; FileNotFoundError says what to fetch, and where to put it."""
    arrays = prepared("fashion_mnist/1", list(FILES), lambda: read(raw_folder(data_dir)))
    train, test = (_tensors(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    train, validation = validation_split(train, validation_fraction)
    return Splits(train, validation, test, n_classes=10)


def raw_folder(data_dir: str | Path | None) -> Path:
    """`FashionMNIST/raw` under `data_dir`, or else under $GRIDRUN_DATA, or ./data."""
    return Path(data_dir or os.environ.get("GRIDRUN_DATA") or "data") / "FashionMNIST" / "raw"


def read(folder: Path) -> Arrays:
    """The four arrays, uint8, straight from the files."""
    return {part: read_idx(folder, *file, ADDRESS) for part, file in FILES.items()}


def _tensors(pixels: np.ndarray, labels: np.ndarray) -> Images:
    return standardized(np.divide(pixels, 255, dtype=np.float32), MEAN, STD), torch.tensor(
        labels.astype(np.int64)
    )
