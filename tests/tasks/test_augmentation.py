"""The keys "augmentation" and "training_samples": more or fewer training steps, the same validation and test images."""

from __future__ import annotations

from typing import Any

import pytest

from gridrun import UsageError
from gridrun.architectures import cnn, digits_cnn, ecg_lsnn
from gridrun.tasks import settings
from gridrun.tasks import train as task

SMALL = {"channels": [4, 4], "hidden": [16], "n_epochs": [1], "learning_rate": [1e-3], "beta_robustness": 0.0}


def point(**changes: Any) -> dict[str, Any]:
    return digits_cnn.make(**{**SMALL, "validation_fraction": 0.5, **changes})


def test_twice_as_many_copies_are_twice_as_many_steps() -> None:
    """629 images stay for training: 6 batches of 100; three times as many are 18."""
    plain, thrice = task.train(point()), task.train(point(augmentation=2))
    assert (plain["n_steps"], thrice["n_steps"]) == (6, 18)


def test_what_is_evaluated_on_has_no_copies() -> None:
    whole, more = settings.splits(point(augmentation=2)), settings.training_splits(point(augmentation=2))
    assert more.validation is not None and whole.validation is not None
    assert len(more.train[1]) == 3 * len(whole.train[1])
    assert more.validation[0].equal(whole.validation[0]) and more.test[0].equal(whole.test[0])


def test_the_papers_cnn_has_two_copies_and_its_form_for_cifar_none() -> None:
    found = [made["augmentation"] for made in (cnn.make(), cnn.make_cifar(), digits_cnn.make())]
    assert found == [2, 0, 0]


def test_sequences_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"augmentation=1 turns images; these samples are \(100, 2\): leave it 0"):
        task.train(ecg_lsnn.make(n_hidden=4, n_epochs=[1, 0], beta_robustness=0.0, augmentation=1))


def test_fewer_training_samples_are_those_of_more_and_are_copied_after() -> None:
    few, more = (settings.training_splits(point(training_samples=n, augmentation=1)).train for n in (100, 300))
    originals = {tuple(image.flatten().tolist()) for image in more[0][:300]}
    assert len(few[1]) == 200 and few[1][:100].equal(few[1][100:])
    assert {tuple(image.flatten().tolist()) for image in few[0][:100]} < originals
    assert set(few[1][:100].bincount().tolist()) <= {9, 10, 11}
    assert task.train(point(training_samples=200))["n_steps"] == 2


def test_as_many_samples_as_there_are_not() -> None:
    with pytest.raises(UsageError, match="630 of 629 samples: want a number from 1 to 629, or None for all"):
        task.train(point(training_samples=630))
