"""Turned and mirrored training images: by SciPy, by hand, and only ever after the splits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from gridrun import data
from gridrun.data.augmentation import augmented, changed, turned
from gridrun.data.splits import Splits, validation_split

NO, YES = torch.tensor([False]), torch.tensor([True])


@pytest.mark.parametrize("angle", [-10.0, -3.3, 0.0, 7.5, 90.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_as_scipy_turns(angle: float, mirrored: bool) -> None:
    image = np.random.default_rng(0).normal(size=(28, 28)).astype(np.float32)
    ours = turned(torch.from_numpy(image)[None, None], torch.tensor([angle]), torch.tensor([mirrored]))[0, 0]
    source = image[:, ::-1] if mirrored else image
    theirs = scipy.ndimage.rotate(source, angle, reshape=False, order=1, mode="nearest")
    assert np.allclose(ours, theirs, atol=2e-4)


def test_each_image_comes_twice_more_with_its_label() -> None:
    splits = data.load("digits", validation_fraction=0.2)
    more = data.load("digits", validation_fraction=0.2, augmentation=2)
    n = len(splits.train[1])
    assert len(more.train[1]) == len(more.train[0]) == 3 * n
    assert torch.equal(more.train[0][:n], splits.train[0])
    assert torch.equal(more.train[1].view(3, n), splits.train[1].expand(3, n))
    assert (more.train[0][n : 2 * n] - more.train[0][2 * n :]).flatten(1).abs().amax(1).min() > 0  # no copy twice


def test_angles_are_within_ten_degrees_and_half_of_the_images_mirrored() -> None:
    """Seen on images whose left half is 0 and right half 1: the boundary's slope is the angle's tangent."""
    image = (torch.arange(41) > 20).float().expand(1, 1, 41, 41) + 0.5 * (torch.arange(41) == 20)
    images = changed(image.repeat(2000, 1, 1, 1), 0, 0)
    is_mirrored = images[:, 0, :, 0].mean(1) > 0.5
    assert 0.45 < is_mirrored.float().mean() < 0.55
    width = torch.where(is_mirrored[:, None], images[:, 0].sum(2), 41 - images[:, 0].sum(2))  # of the left half, by row
    degrees = torch.atan((width[:, 5] - width[:, 35]) / 30).rad2deg()
    assert degrees.abs().max() < 10.1 and degrees.abs().max() > 9.8
    assert abs(degrees.mean()) < 0.4 and degrees.std() == pytest.approx(20 / 12**0.5, rel=0.05)  # uniform


def test_equal_seeds_and_copies_give_equal_images() -> None:
    images = data.load("digits").train[0][:50]
    assert torch.equal(changed(images, 0, 1), changed(images, 0, 1))
    assert not torch.equal(changed(images, 0, 1), changed(images, 0, 0))
    assert not torch.equal(changed(images, 0, 1), changed(images, 1, 1))


def test_bundles_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    images = data.load("digits").train[0][:50]
    whole = changed(images, 0, 0)
    monkeypatch.setattr("gridrun.data.augmentation.AT_ONCE", 7)
    assert torch.equal(changed(images, 0, 0), whole)


def test_no_validation_image_is_a_turned_training_image() -> None:
    """Every image is one number; turned and mirrored it stays that number, so a leak would be seen."""
    images = torch.arange(100.0).view(100, 1, 1, 1).expand(100, 1, 5, 5)
    train, validation = validation_split((images, torch.zeros(100).long()), 0.2)
    more = augmented(Splits(train, validation, (images[:3], torch.zeros(3)), 10), 2)
    assert validation is not None and more.validation is validation
    trained_on = more.train[0].flatten(1).round()
    assert (trained_on == trained_on[:, :1]).all()
    aside = set(validation[0][:, 0, 0, 0].tolist())
    assert len(aside) == 20 and not aside & set(trained_on[:, 0].tolist())


def test_without_augmentation_nothing_changes_and_the_test_never_does() -> None:
    plain, more = data.load("digits"), data.load("digits", augmentation=1)
    assert torch.equal(plain.test[0], more.test[0])
    assert torch.equal(data.load("digits", augmentation=0).train[0], plain.train[0])


def test_sequences_are_not_turned() -> None:
    with pytest.raises(ValueError, match=r"augmentation=2 turns images; these samples are \(100, 2\): leave it 0"):
        data.load("synthetic_ecg", augmentation=2)
    with pytest.raises(ValueError, match=r"augmentation=-1: want the number of changed copies"):
        data.load("digits", augmentation=-1)


@pytest.mark.data
def test_fashion_mnist_as_in_the_paper() -> None:
    """60,000 images, a fifth set aside, the others three times: 144,000."""
    splits = data.load("fashion_mnist", validation_fraction=0.2, augmentation=2)
    assert splits.validation is not None
    assert [len(part[1]) for part in (splits.train, splits.validation, splits.test)] == [144_000, 12_000, 10_000]
    assert splits.train[1].bincount().tolist() == (3 * splits.train[1][:48_000].bincount()).tolist()
