"""The data sets by name: sizes, splits and scales."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from gridrun import data
from gridrun.data import fashion_mnist
from gridrun.data.splits import validation_split


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))


def test_digits_are_all_there_once_and_standardised() -> None:
    from sklearn.datasets import load_digits

    splits = data.load("digits")
    images = torch.cat([splits.train[0], splits.test[0]])
    pixels = (images * 0.3761 + 0.3056).mul(16).round().int().flatten(1)
    theirs = load_digits().data.astype(int)
    assert sorted(pixels.tolist()) == sorted(theirs.tolist())
    assert splits.train[0].shape == (1257, 1, 8, 8)
    assert splits.train[0].mean().abs() < 1e-3
    assert splits.train[0].std() == pytest.approx(1, abs=1e-3)


def test_digits_are_stratified_and_the_same_each_time() -> None:
    first, second = data.load("digits"), data.load("digits")
    assert torch.equal(first.test[0], second.test[0])
    assert (first.test[1].bincount() - 54).abs().max() <= 2


def test_validation_images_leave_the_training_images_and_the_test_alone() -> None:
    whole, split = data.load("digits"), data.load("digits", validation_fraction=0.2)
    assert split.validation is not None
    assert (len(split.train[1]), len(split.validation[1])) == (1006, 251)
    together = torch.cat([split.train[0], split.validation[0]]).flatten(1)
    assert sorted(together.tolist()) == sorted(whole.train[0].flatten(1).tolist())
    assert torch.equal(split.test[0], whole.test[0])


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_validation_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="validation_fraction"):
        validation_split((torch.zeros(4, 1), torch.zeros(4)), fraction)


def test_an_unknown_data_set_lists_the_known() -> None:
    with pytest.raises(ValueError, match="'fasion_mnist'; there are digits, fashion_mnist"):
        data.load("fasion_mnist")


def test_absent_fashion_mnist_says_what_to_fetch_and_where(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"FashionMNIST/raw.*http://fashion-mnist.*train-images"):
        data.load("fashion_mnist", tmp_path)


@pytest.mark.data("FashionMNIST/raw")
def test_fashion_mnist_by_a_second_reading(tmp_path: Path) -> None:
    splits = data.load("fashion_mnist", validation_fraction=0.2)
    assert splits.validation is not None
    assert [len(s[1]) for s in (splits.train, splits.validation, splits.test)] == [48_000, 12_000, 10_000]
    assert torch.cat([splits.train[0], splits.validation[0]]).std() == pytest.approx(1, abs=1e-3)
    raw = fashion_mnist.raw_folder(None) / "t10k-images-idx3-ubyte.gz"
    pixels = np.frombuffer(gzip.decompress(raw.read_bytes())[16:], np.uint8)[:784].reshape(28, 28) / 255
    assert np.allclose(splits.test[0][0, 0].numpy(), (pixels - 0.2860) / 0.3530, atol=1e-6)
    again = data.load("fashion_mnist", tmp_path / "nowhere", validation_fraction=0.2)  # decoded, kept
    assert torch.equal(again.validation[0], splits.validation[0])
