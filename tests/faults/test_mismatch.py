"""Mismatch: borrowed and given back, its statistics, and equal numbers by loop and by vmap."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gridrun import data
from gridrun.faults.mismatch import accuracy_under_mismatch, mismatched, scaled, shifted
from gridrun.nn.cnn import CNN
from gridrun.training.evaluation import accuracy, parameters_of
from gridrun.training.seeding import generator


@pytest.fixture
def model() -> CNN:
    return CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0))


IMAGES, LABELS = (t[:200] for t in data.load("digits").test)


def test_the_exact_bits_come_back_even_when_the_block_raises(model: CNN) -> None:
    with torch.no_grad():  # what arithmetic would not give back: a negative zero and a denormal number
        model.dense[0].bias[:2] = torch.tensor([-0.0, 1e-42])
    before = {k: v.numpy().tobytes() for k, v in parameters_of(model).items()}
    with pytest.raises(RuntimeError, match="inside"), mismatched(model, 0.3, generator(1)) as noisy_model:
        assert noisy_model is model
        assert all(v.numpy().tobytes() != before[k] for k, v in parameters_of(model).items())
        raise RuntimeError("inside")
    assert {k: v.numpy().tobytes() for k, v in parameters_of(model).items()} == before


def test_noise_is_relative_and_its_size_is_the_level() -> None:
    theta = {"w": torch.cat([torch.full((50_000,), -2.0), torch.zeros(10)])}
    change = scaled(theta, 0.3, generator(0))["w"] - theta["w"]
    assert change[:-10].std().item() == pytest.approx(0.6, rel=0.02)
    assert change[:-10].mean().item() == pytest.approx(0, abs=0.01)
    assert (change[-10:] == 0).all()


def test_level_zero_is_the_network_itself(model: CNN) -> None:
    clean = accuracy(model(IMAGES), LABELS)
    assert accuracy_under_mismatch(model, IMAGES, LABELS, 0.0, n_repeats=3).tolist() == [clean] * 3


@pytest.mark.parametrize("chunk", [4, 7, 100])
def test_loop_and_vmap_give_the_same_numbers(model: CNN, chunk: int) -> None:
    one_by_one = accuracy_under_mismatch(model, IMAGES, LABELS, 0.5, n_repeats=10, seed=2)
    at_once = accuracy_under_mismatch(model, IMAGES, LABELS, 0.5, 10, seed=2, batch_size=64, chunk=chunk)
    assert np.array_equal(one_by_one, at_once)
    assert len(set(one_by_one)) > 1


def test_each_draw_by_the_borrowed_model(model: CNN) -> None:
    drawn = accuracy_under_mismatch(model, IMAGES, LABELS, 0.4, n_repeats=3, seed=5)
    for i, found in enumerate(drawn):
        with mismatched(model, 0.4, generator(5, "mismatch", i)):
            assert accuracy(model(IMAGES), LABELS) == found


def test_more_draws_begin_with_the_fewer(model: CNN) -> None:
    few, many = (accuracy_under_mismatch(model, IMAGES, LABELS, 0.5, n, seed=1) for n in (3, 6))
    assert np.array_equal(few, many[:3])


def test_no_draws_no_numbers(model: CNN) -> None:
    assert accuracy_under_mismatch(model, IMAGES, LABELS, 0.5, n_repeats=0).shape == (0,)


def test_noise_of_one_size_for_all_is_the_mismatch_of_ones(model: CNN) -> None:
    """theta + std n = theta + (1 (1 + std n) - 1): the second road draws the noise for a network of ones."""
    theta, draw = parameters_of(model), generator(4, "mismatch", 0)
    ones = {name: torch.ones_like(tensor) for name, tensor in theta.items()}
    noise = {name: tensor - 1 for name, tensor in scaled(ones, 0.2, draw).items()}
    found = accuracy_under_mismatch(model, IMAGES, LABELS, 0.2, n_repeats=1, seed=4, is_relative=False)
    by_hand = {name: tensor + noise[name] for name, tensor in theta.items()}
    assert found[0] == accuracy(torch.func.functional_call(model, by_hand, (IMAGES,)), LABELS)
    assert shifted({"w": torch.zeros(50_000)}, 0.2, generator(0))["w"].std().item() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("level", [-0.1, float("nan"), float("inf")])
def test_noise_that_cannot_be_is_refused(model: CNN, level: float) -> None:
    with pytest.raises(ValueError, match="noise of size .*: want a number, 0 or more"):
        accuracy_under_mismatch(model, IMAGES, LABELS, level, n_repeats=1)


def test_fewer_draws_than_none_are_refused(model: CNN) -> None:
    with pytest.raises(ValueError, match="n_repeats=-4: want 0 or more"):
        accuracy_under_mismatch(model, IMAGES, LABELS, 0.5, n_repeats=-4)


def test_a_network_in_its_mode_for_training_is_judged_as_in_that_for_evaluation(model: CNN) -> None:
    dropping = torch.nn.Sequential(model, torch.nn.Dropout(0.5)).train()
    before = torch.random.get_rng_state()
    found = accuracy_under_mismatch(dropping, IMAGES, LABELS, 0.4, n_repeats=3, seed=5)
    assert np.array_equal(found, accuracy_under_mismatch(model, IMAGES, LABELS, 0.4, n_repeats=3, seed=5))
    assert dropping.training and dropping[1].training
    assert torch.equal(before, torch.random.get_rng_state())
