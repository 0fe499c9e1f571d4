"""Landscape, interval bounds and attack path of trained points: those of the science, kept by the network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gridrun import UsageError, run
from gridrun.analysis.attack_path import attack_path as followed
from gridrun.analysis.interval_bounds import bounds
from gridrun.analysis.landscape import landscape as around
from gridrun.architectures import digits_cnn, ecg_lsnn
from gridrun.tasks import settings
from gridrun.tasks.attack_path import attack_path
from gridrun.tasks.evaluate import mismatch_accuracy, worst_case_accuracy
from gridrun.tasks.interval_bounds import verified_accuracy
from gridrun.tasks.landscape import landscape
from gridrun.tasks.train import train
from gridrun.training.adversarial import ParameterAttack

SHORT: dict[str, Any] = {"n_epochs": [15, 1], "learning_rate": [5e-3, 1e-3], "beta_robustness": 0.0}
SMALL = digits_cnn.make(**SHORT, channels=[4, 4], hidden=[16])


def trained(point: Mapping[str, Any]) -> dict[str, Any]:
    """Trained and not stored."""
    return {**point, **train(point)}


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return trained(SMALL)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_each_task_is_its_science_and_is_kept() -> None:
    (point,) = run([{**SMALL, "n_epochs": [1, 0]}], "train", store_key="*")("{*}")
    model, (images, labels) = settings.trained(point), settings.test_images(point, 90)
    assert len(labels) == 90
    with settings.reproducible(point):
        bound = bounds(model, images, labels, 1e-4)
        wanted = {
            landscape: ((0.3, 2, 5, 1, 90), around(model, images, labels, 0.3, 2, 5, 1)),
            attack_path: (
                (0.05, 3, "madry", 2, 1, 90),
                followed(model, images, labels, ParameterAttack(0.05, n_attack_steps=3, boundary_loss="madry"), 2, 1),
            ),
            verified_accuracy: (
                (1e-4, 90),
                {
                    "verified": int(bound.verified.sum()) / 90,
                    "logit_width": bound.widths.mean().item(),
                    "clean": mismatch_accuracy(point, 0.0, n_images=90)[0],
                },
            ),
        }
    for task, (arguments, expected) in wanted.items():
        (computed,) = run([point], task)("{*}", *arguments)
        assert same(computed, expected)
        (loaded,) = run([point], task, run_mode="load")("{*}", *arguments)
        assert same(loaded, expected)


def test_what_they_say_of_a_trained_network(small: dict[str, Any]) -> None:
    lines = landscape(small, n_directions=2, n_points=21)
    middle = lines["cross_entropy"][:, 10]
    assert lines["alpha"][10] == 0 and (lines["accuracy"][:, 10] == small["test_accuracy"]).all()
    assert (lines["cross_entropy"][:, [0, -1]] > middle[:, None]).all() and (lines["flatness"] > 0).all()
    shares = [verified_accuracy(small, size, 200) for size in (0.0, 1e-3, 1e-2)]
    assert shares[0]["verified"] == shares[0]["clean"] > 0.8 and shares[0]["logit_width"] < 1e-9
    assert shares[0]["verified"] > shares[1]["verified"] > shares[2]["verified"]
    assert shares[1]["verified"] <= worst_case_accuracy(small, 1e-3, n_images=200)
    way = attack_path(small, 0.1, n_random=5)
    assert way["adversarial_accuracy"][-1] == worst_case_accuracy(small, 0.1)
    assert (way["adversarial_accuracy"][-1] < way["random_accuracy"][:, -1]).all()
    assert (way["adversarial"][-1] > 3 * way["random"][:, -1]).all()
    nowhere = attack_path(small, 0.0, steps=2, n_random=1, n_images=50)
    assert nowhere["adversarial"].tolist() == pytest.approx([0, 0, 0], abs=1e-5)  # the floor of the loss
    assert len({*nowhere["adversarial_accuracy"], *nowhere["random_accuracy"][0]}) == 1


def test_an_lsnn_has_all_three() -> None:
    point = trained(ecg_lsnn.make(n_hidden=16, n_epochs=[3, 0], learning_rate=[1e-2, 1e-3], beta_robustness=0.0))
    shares = [verified_accuracy(point, size, 100) for size in (0.0, 1e-6, 0.1)]
    assert shares[0]["verified"] == shares[0]["clean"] > 0.5
    assert shares[0]["verified"] >= shares[1]["verified"] > shares[2]["verified"]
    assert landscape(point, n_directions=1, n_points=3, n_images=50)["cross_entropy"].shape == (1, 3)
    way = attack_path(point, 0.2, steps=2, n_random=1, n_images=50)
    assert way["adversarial"][-1] > way["random"][0, -1]


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        (verified_accuracy, {"size": -1.0}, "size=-1.0: want a number, 0 or more"),
        (verified_accuracy, {"size": "0.1"}, "size='0.1': want a number"),
        (landscape, {"n_points": 1}, "n_points=1: want a whole number, 2 or more"),
        (landscape, {"n_directions": 0}, "n_directions=0: want a whole number, 1 or more"),
        (landscape, {"std": -1.0}, "std=-1.0: want a number, 0 or more"),
        (landscape, {"n_images": 0}, "n_images=0: want None, or a whole number, 1 or more"),
        (attack_path, {"attack_size": 0.1, "loss": "kll"}, "no boundary loss 'kll'"),
        (attack_path, {"attack_size": 0.1, "steps": 0}, "steps=0: want a whole number, 1 or more"),
        (attack_path, {"attack_size": 0.0, "steps": -1}, "steps=-1: want a whole number, 0 or more"),
        (attack_path, {"attack_size": -0.1}, "attack_size=-0.1: want"),
        (attack_path, {"attack_size": 0.1, "n_random": -1}, "n_random=-1: want a whole number, 0 or more"),
    ],
)
def test_arguments_that_cannot_be_are_one_line_each(
    small: dict[str, Any], task: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        task(small, **arguments)


def test_a_network_that_standardises_by_batches_has_no_bounds() -> None:
    point = trained({**SMALL, "n_epochs": [1, 0], "batch_standardize": True})
    with pytest.raises(UsageError, match="batch_standardize=True"):
        verified_accuracy(point, 0.01)
