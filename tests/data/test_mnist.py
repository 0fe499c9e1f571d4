"""MNIST by a second reading, and Fashion-MNIST's test images alone."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gridrun import data


@pytest.mark.data("MNIST/raw")
def test_mnist_by_a_second_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    splits = data.load("mnist")
    assert (len(splits.train[1]), len(splits.test[1])) == (60_000, 10_000)
    assert splits.train[0].mean().abs() < 1e-3 and splits.train[0].std() == pytest.approx(1, abs=1e-3)
    raw = (Path(os.environ["GRIDRUN_DATA"]) / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz").read_bytes()
    pixels = np.frombuffer(gzip.decompress(raw)[16:], np.uint8)[:784].reshape(28, 28) / 255
    assert np.allclose(splits.test[0][0, 0].numpy(), (pixels - 0.1307) / 0.3081, atol=1e-6)


@pytest.mark.data("MNIST/raw", "FashionMNIST/raw")
@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_the_test_images_need_no_training_images(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    raw = Path(folder) / "raw"
    (tmp_path / raw).mkdir(parents=True)
    for path in (Path(os.environ["GRIDRUN_DATA"]) / raw).glob("t10k-*"):
        shutil.copy(path, tmp_path / raw)
    images, labels = data.test_images(name, tmp_path)
    assert images.shape == (10_000, 1, 28, 28) and labels.dtype == torch.int64
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte.gz"):
        data.load(name, tmp_path)


def test_the_digits_have_test_images_too() -> None:
    assert torch.equal(data.test_images("digits")[0], data.load("digits").test[0])
