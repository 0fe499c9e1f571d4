"""Evaluation tasks: cached by the trained network's id, equal to the science called by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridrun import MissingKey, UsageError, run, split
from gridrun.architectures import digits_cnn
from gridrun.data import load
from gridrun.faults.mismatch import accuracy_under_mismatch
from gridrun.tasks.evaluate import constant_noise_accuracy, mismatch_accuracy, worst_case_accuracy
from gridrun.tasks.settings import test_images, trained

POINT = digits_cnn.make(n_epochs=[6, 1], learning_rate=[5e-3, 1e-3], channels=[4, 4], hidden=[16], beta_robustness=0.0)
IMAGES, LABELS = load("digits").test


@pytest.fixture
def point() -> dict:
    return run([POINT], "train", store_key="*")("{*}")[0]


def test_mismatch_is_that_of_the_science(point: dict) -> None:
    grid = split([point], "level", [0.0, 0.5])
    clean, noisy = run(grid, mismatch_accuracy)("{*}", "{level}", 4)
    assert clean.tolist() == [point["test_accuracy"]]
    assert np.array_equal(noisy, accuracy_under_mismatch(trained(point), IMAGES, LABELS, 0.5, 4))
    again = run(grid, mismatch_accuracy, run_mode="load")("{*}", "{level}", 4)
    assert np.array_equal(again[1], noisy)


def test_results_hang_on_the_trained_network_and_on_each_argument(point: dict) -> None:
    (other,) = run([{**POINT, "seed": 1}], "train", store_key="*")("{*}")

    def key(model: dict, *arguments: object) -> str:
        (found,) = run([model], mismatch_accuracy, store_key="accuracy")("{*}", *arguments)
        return found["mismatch_accuracy_session_id"]

    calls = [(point, 0.1, 2), (other, 0.1, 2), (point, 0.2, 2), (point, 0.1, 3), (point, 0.1, 2, 1)]
    assert len({key(*call) for call in calls}) == 5
    assert key(point, 0.1, 2) == key(point, 0.1, 2, 0)


def test_the_worst_case_is_worse_with_size(point: dict) -> None:
    found = [worst_case_accuracy(point, size, steps=3) for size in (0.0, 0.1, 0.4)]
    assert found[0] == point["test_accuracy"] > found[1] > found[2]


def test_of_several_starts_the_worst_counts(point: dict) -> None:
    each = [worst_case_accuracy(point, 0.1, steps=3, noise_seed=seed) for seed in (2, 3)]
    assert worst_case_accuracy(point, 0.1, steps=3, n_starts=2, noise_seed=2) == min(each) < each[0]


def test_the_attack_of_one_size_for_all(point: dict) -> None:
    assert worst_case_accuracy(point, 0.0, steps=3, attack_size_constant=0.05) < point["test_accuracy"]
    assert worst_case_accuracy(point, 0.0, steps=0) == point["test_accuracy"]


def test_some_images_are_a_fixed_draw_with_the_classes_in_proportion(point: dict) -> None:
    images, labels = test_images(point, 100)
    counts, all_counts = labels.bincount(), LABELS.bincount()
    assert (counts - 100 * all_counts / len(LABELS)).abs().max() < 1
    found = accuracy_under_mismatch(trained(point), images, labels, 0.5, 4)
    assert np.array_equal(mismatch_accuracy(point, 0.5, 4, n_images=100), found)
    noisy = accuracy_under_mismatch(trained(point), images, labels, 0.1, 4, is_relative=False)
    assert np.array_equal(constant_noise_accuracy(point, 0.1, 4, n_images=100), noisy)
    assert constant_noise_accuracy(point, 0.0).tolist() == [point["test_accuracy"]]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"batch_standardize": True}, "batch_standardize=True, but this network was trained with False"),
        ({"dataset": "mnist"}, "dataset='mnist', but this network was trained with 'digits': train it so first"),
        ({"channels": [4, 8]}, r"channels=\[4, 8\], but"),
    ],
)
def test_a_point_changed_after_its_training_is_not_evaluated(point: dict, changed: dict, says: str) -> None:
    """Its result would be stored as the trained network's."""
    with pytest.raises(UsageError, match=says):
        run([{**point, **changed}], mismatch_accuracy)("{*}", 0.5, 7)
    (honest,) = run([point], mismatch_accuracy)("{*}", 0.5, 7)
    assert np.array_equal(honest, accuracy_under_mismatch(trained(point), IMAGES, LABELS, 0.5, 7))


@pytest.mark.parametrize(
    ("task", "arguments", "says"),
    [
        (mismatch_accuracy, {"level": 0.0, "n_repeats": 0}, "n_repeats=0: want a whole number, 1 or more"),
        (mismatch_accuracy, {"level": 0.3, "n_repeats": 2.5}, "n_repeats=2.5: want a whole number"),
        (mismatch_accuracy, {"level": "0.3"}, "level='0.3': want a number, 0 or more"),
        (mismatch_accuracy, {"level": 0.3, "n_images": 5.5}, "n_images=5.5: want None, or a whole number"),
        (constant_noise_accuracy, {"std": -0.1}, "std=-0.1: want a number, 0 or more"),
        (worst_case_accuracy, {"attack_size": -0.1}, "attack_size=-0.1: want a number, 0 or more"),
        (worst_case_accuracy, {"attack_size": 0.1, "attack_size_constant": -0.1}, "attack_size_constant=-0.1: want"),
        (worst_case_accuracy, {"attack_size": 0.1, "n_starts": 0}, "n_starts=0: want a whole number, 1 or more"),
        (worst_case_accuracy, {"attack_size": 0.1, "steps": 0}, "steps=0: want a whole number, 1 or more"),
        (worst_case_accuracy, {"attack_size": 0.1, "steps": 1.5}, "steps=1.5: want a whole number"),
    ],
)
def test_arguments_that_cannot_be_are_one_line_each(task: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        task(POINT, **arguments)  # told before the network is looked at


def test_an_untrained_point_says_what_to_do() -> None:
    with pytest.raises(MissingKey, match="train it first"):
        mismatch_accuracy(POINT, 0.1)
