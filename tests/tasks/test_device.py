"""Quantisation and phase-change memory as tasks: equal to the science called by hand, cached by every argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gridrun import UsageError, run
from gridrun.architectures import digits_cnn, resnet32
from gridrun.faults import pcm, quantization
from gridrun.tasks import settings
from gridrun.tasks.pcm import pcm_accuracy
from gridrun.tasks.quantized import quantized_accuracy

POINT = digits_cnn.make(n_epochs=[6, 1], learning_rate=[5e-3, 1e-3], channels=[4, 4], hidden=[16], beta_robustness=0.0)
YEAR = 365 * 24 * 3600.0


@pytest.fixture
def point() -> dict[str, Any]:
    return run([POINT], "train", store_key="*")("{*}")[0]


def keys(task: Callable, point: dict[str, Any], calls: list[tuple[Any, ...]]) -> list[str]:
    found = [run([point], task, store_key="found")("{*}", *call)[0] for call in calls]
    return [one[f"{task.__name__}_session_id"] for one in found]


def test_quantised_accuracy_is_that_of_the_science(point: dict[str, Any]) -> None:
    network, (images, labels) = settings.trained(point), settings.test_images(point)
    for bits, per_channel in [(24, False), (3, False), (3, True)]:
        by_hand = quantization.quantized_accuracy(network, images, labels, bits, per_channel)
        assert quantized_accuracy(point, bits, per_channel) == by_hand
    assert quantized_accuracy(point, 24) == point["test_accuracy"] > quantized_accuracy(point, 2)
    some = settings.test_images(point, 100)
    assert quantized_accuracy(point, 3, n_images=100) == quantization.quantized_accuracy(network, *some, 3)
    assert len(set(keys(quantized_accuracy, point, [(3,), (4,), (3, True), (3, False, 100)]))) == 4
    with pytest.raises(UsageError, match="bits=1: want a whole number from 2 to 24"):
        quantized_accuracy(point, 1)


def test_accuracy_on_pcm_is_that_of_the_science_and_falls_with_time(point: dict[str, Any]) -> None:
    network, (images, labels) = settings.trained(point), settings.test_images(point)
    found = {(t, c): pcm_accuracy(point, t, 4, 0, c) for t in (25.0, YEAR) for c in (True, False)}
    for (seconds, is_compensated), accuracies in found.items():
        by_hand = pcm.accuracy_on_pcm(network, images, labels, seconds, 4, 0, is_compensated)
        assert np.array_equal(accuracies, by_hand)
    assert np.array_equal(found[25.0, True], found[25.0, False])
    assert found[25.0, True].mean() > found[YEAR, True].mean() > found[YEAR, False].mean()
    calls = [(25.0, 2), (YEAR, 2), (25.0, 3), (25.0, 2, 1), (25.0, 2, 0, False), (25.0, 2, 0, True, 100)]
    assert len(set(keys(pcm_accuracy, point, calls))) == len(calls)
    assert np.array_equal(pcm_accuracy(point, YEAR, 2), found[YEAR, True][:2])
    on_some = pcm_accuracy(point, YEAR, 2, n_images=100)
    assert len(on_some) == 2 and on_some.tolist() != found[YEAR, True][:2].tolist()
    with pytest.raises(UsageError, match="n_repeats=0: want a whole number, 1 or more"):
        pcm_accuracy(point, YEAR, 0)
    with pytest.raises(
        UsageError, match="1.0 s after programming: the model of drift begins with the first read, at 25 s"
    ):
        pcm_accuracy(point, 1.0)


def test_a_small_resnet_on_grey_digits_goes_onto_devices() -> None:
    short = {"n_epochs": [3, 0], "learning_rate": [1e-2, 1e-3], "validation_fraction": 0.0, "checkpoint": "final"}
    small = resnet32.make(dataset="digits", n_blocks=1, width=4, beta_robustness=0.0, **short)
    (trained,) = run([small], "train", store_key="*")("{*}")
    on_devices = pcm_accuracy(trained, 25.0, 3)
    assert trained["test_accuracy"] > 0.8
    assert 0.5 < on_devices.min() <= on_devices.max() <= trained["test_accuracy"] + 0.02
