"""The worst case: the attack of training, on the test images."""

from __future__ import annotations

import torch

from gridrun import data
from gridrun.faults.mismatch import accuracy_under_mismatch
from gridrun.faults.worst_case import attacked_parameters, worst_case_accuracy
from gridrun.nn.cnn import CNN
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.evaluation import accuracy, logits_at, parameters_of
from gridrun.training.loop import Schedule, fit
from gridrun.training.objective import Method
from gridrun.training.seeding import generator

IMAGES, LABELS = (t[:200] for t in data.load("digits").test)


def trained() -> CNN:
    splits = data.load("digits")
    model = CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0))
    *_, (_, _, state) = fit(model, splits.train, None, Method(), Schedule((15,), (5e-3,)), 0)
    model.load_state_dict(state.weights("final"))
    return model


def test_an_attack_of_size_zero_changes_nothing_and_a_larger_one_hurts_more() -> None:
    model = trained()
    clean = accuracy(model(IMAGES), LABELS)
    found = [
        worst_case_accuracy(model, IMAGES, LABELS, ParameterAttack(size, initial_std_mismatch=0.0))
        for size in (0.0, 0.05, 0.2)
    ]
    assert found[0] == clean > 0.8
    assert found[0] > found[1] > found[2]


def test_the_attack_is_worse_than_any_of_many_random_corners_of_its_ball() -> None:
    model, size = trained(), 0.1
    theta = parameters_of(model)
    attacked = worst_case_accuracy(model, IMAGES, LABELS, ParameterAttack(size, clamp=True))
    stream = generator(1)
    for _ in range(20):
        corner = {k: v * (1 + size * torch.randn(v.shape, generator=stream).sign()) for k, v in theta.items()}
        assert attacked < accuracy(torch.func.functional_call(model, corner, (IMAGES,)), LABELS)


def test_images_in_batches_or_at_once_are_one_attack() -> None:
    model = trained().double()
    images, attack = IMAGES.double(), ParameterAttack(n_attack_steps=3)
    whole = attacked_parameters(model, images, LABELS, attack)
    parts = attacked_parameters(model, images, LABELS, attack, batch_size=64)
    assert all(torch.allclose(whole[k], parts[k], atol=1e-12) for k in whole)


def test_the_model_itself_is_left_alone() -> None:
    model = trained()
    before = parameters_of(model)
    worst_case_accuracy(model, IMAGES, LABELS, ParameterAttack())
    assert all(torch.equal(before[k], v) for k, v in parameters_of(model).items())


def test_a_network_that_standardises_by_batches_is_attacked_and_judged_in_the_same_ones() -> None:
    model = CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), batch_standardize=True, generator=generator(0))
    theta, attack = parameters_of(model), ParameterAttack(n_attack_steps=2)
    by_hand = torch.cat([model(IMAGES[:100]), model(IMAGES[100:])])
    assert torch.equal(logits_at(model, theta, IMAGES), by_hand)
    assert not torch.equal(logits_at(model, theta, IMAGES, 150), by_hand)
    found = attacked_parameters(model, IMAGES, LABELS, attack)
    wanted = attacked_parameters(model, IMAGES, LABELS, attack, batch_size=100)
    assert all(torch.equal(found[name], wanted[name]) for name in theta)
    without_noise = accuracy_under_mismatch(model, IMAGES, LABELS, 0.0, 1)
    assert without_noise[0] == accuracy(by_hand, LABELS)
    assert accuracy(logits_at(model, found, IMAGES), LABELS) == worst_case_accuracy(model, IMAGES, LABELS, attack)
