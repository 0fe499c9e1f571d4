"""Data sets of grey images in four IDX files, MNIST and its kin, in torchvision's layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .folders import data_folder
from .idx import read_idx
from .prepared import Arrays, prepared
from .splits import Images, Splits, standardized, validation_split

PARTS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class IdxImages:
    """Ten classes of 28x28 pixels. `files` says for each part its name, the MD5 of the gzipped and of the plain file.

    They are read from `folder`/raw under the data folder, gzipped or not, and kept decoded for the next time.
    """

    name: str
    folder: str
    address: str
    files: Mapping[str, tuple[str, str, str]]
    mean: float
    std: float

    def splits(self, data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
        """Images (n, 1, 28, 28), standardised; FileNotFoundError says what to fetch, and where to put it."""
        arrays = prepared(f"{self.name}/1", list(PARTS), lambda: self.read(PARTS, data_dir))
        train, validation = validation_split(self._tensors(arrays, "train"), validation_fraction)
        return Splits(train, validation, self._tensors(arrays, "test"), n_classes=10)

    def test_images(self, data_dir: str | Path | None = None) -> Images:
        """The test images alone; the training files need not be there."""
        return self._tensors(self.read(PARTS[2:], data_dir), "test")

    def raw_folder(self, data_dir: str | Path | None) -> Path:
        """Where its files are."""
        return data_folder(data_dir) / self.folder / "raw"

    def read(self, parts: tuple[str, ...], data_dir: str | Path | None = None) -> Arrays:
        """Arrays of uint8, straight from the files."""
        return {part: read_idx(self.raw_folder(data_dir), *self.files[part], self.address) for part in parts}

    def _tensors(self, arrays: Arrays, part: str) -> Images:
        pixels = np.divide(arrays[f"{part}_images"], 255, dtype=np.float32)
        return standardized(pixels, self.mean, self.std), torch.tensor(arrays[f"{part}_labels"].astype(np.int64))
