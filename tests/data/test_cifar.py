"""CIFAR: real batches, batches made here, and pickles that ask for more than data."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from gridrun import data
from gridrun.data.cifar import Cifar, parse

PIXELS = np.arange(2 * 3072, dtype=np.uint32).reshape(2, 3072).astype(np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))


def batch(**changes: object) -> dict:
    return {"batch_label": "one", "data": PIXELS, "labels": [7, 3], "filenames": ["a.png", "b.png"], **changes}


def made(folder: Path, *content: dict) -> Cifar:
    """A data set of the same form in `folder`: a training batch, a test batch."""
    md5 = {}
    (folder / "batches").mkdir()
    for name, each in zip(("train", "test"), content, strict=True):
        raw = pickle.dumps(each, protocol=2)
        (folder / "batches" / name).write_bytes(raw)
        md5[name] = {name: hashlib.md5(raw).hexdigest()}
    return Cifar("made", "batches", "https://x/", md5["train"], md5["test"], "labels", 10, (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pixels_are_planes_of_red_green_and_blue(protocol: int) -> None:
    pixels, labels = parse(pickle.dumps(batch(), protocol), "labels")
    assert labels.tolist() == [7, 3]
    assert pixels.shape == (2, 3, 32, 32) and pixels[0, 1, 0, 5] == PIXELS[0, 1024 + 5]
    assert np.array_equal(pixels.reshape(2, -1), PIXELS)


def test_images_are_pixels_in_0_to_1_standardised(tmp_path: Path) -> None:
    splits = made(tmp_path, batch(), batch(data=255 - PIXELS)).splits(tmp_path)
    assert torch.equal(splits.train[0].flatten(1), torch.from_numpy(PIXELS.copy()).float() / 255)
    assert splits.test[1].tolist() == [7, 3] and splits.n_classes == 10
    assert torch.allclose(splits.test[0] + splits.train[0], torch.ones(()))


def test_the_test_images_need_no_training_images(tmp_path: Path) -> None:
    source = made(tmp_path, batch(data=255 - PIXELS), batch())
    (tmp_path / "batches" / "train").unlink()
    assert source.test_images(tmp_path)[0].shape == (2, 3, 32, 32)
    with pytest.raises(FileNotFoundError, match=r"no train in .*batches: fetch https://x/"):
        source.splits(tmp_path)


def test_one_wrong_bit_is_found(tmp_path: Path) -> None:
    source = made(tmp_path, batch(), batch())
    path = tmp_path / "batches" / "test"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="test is damaged .*fetch it again from https://x/"):
        source.test_images(tmp_path)


class Bomb:
    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('code from the pickle ran')",))


def objects() -> np.ndarray:
    return np.array([None, 1], dtype=object)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch(data=Bomb()), r"asks for (builtins|__builtin__)\.exec"),
        (batch(data=objects()), "array of 'O8'"),
        (batch(data=PIXELS.astype(np.float32)), "array of 'f4'"),
        (batch(data=PIXELS[:, :3000]), r"shape \(2, 3000\)"),
        (batch(labels=[1]), "for 1 labels"),
        (batch(labels=[1, 256]), "ValueError"),
        ({"data": PIXELS}, "KeyError: 'labels'"),
        ([], "TypeError"),
    ],
)
def test_what_is_no_batch_says_so_and_runs_nothing(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(pickle.dumps(content, protocol=2), "labels", "the file")


def test_a_torn_pickle_says_so() -> None:
    with pytest.raises(ValueError, match="the file is no batch of CIFAR"):
        parse(pickle.dumps(batch())[:1000], "labels", "the file")


def test_cifar100_is_read_by_its_fine_labels() -> None:
    from gridrun.data.cifar100 import CIFAR100

    assert (CIFAR100.labels, CIFAR100.n_classes, data.about("cifar100").n_classes) == ("fine_labels", 100, 100)


@pytest.mark.data("cifar-10-batches-py/test_batch")
def test_the_real_test_batch_by_a_second_reading() -> None:
    images, labels = data.test_images("cifar10")
    assert images.shape == (10_000, 3, 32, 32) and labels.bincount().tolist() == [1000] * 10
    raw = (Path(os.environ["GRIDRUN_DATA"]) / "cifar-10-batches-py" / "test_batch").read_bytes()
    theirs = pickle.loads(raw, encoding="latin1")
    assert labels.tolist() == theirs["labels"]
    pixel = theirs["data"][17].reshape(3, 32, 32)[2, 5, 9] / 255
    assert images[17, 2, 5, 9].item() == pytest.approx((pixel - 0.4465) / 0.2010, abs=1e-6)
