"""The attack's way ends where the attack ends, and random ways go straight into a corner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.func import functional_call

from gridrun.analysis.attack_path import attack_path, random_signs
from gridrun.faults.worst_case import attacked_parameters, gradient_on, worst_case_accuracy
from gridrun.nn.cnn import CNN
from gridrun.nn.lsnn import LSNN
from gridrun.training.adversarial import ParameterAttack, attack_steps, find_perturbation
from gridrun.training.evaluation import parameters_of
from gridrun.training.losses import boundary_loss
from gridrun.training.seeding import generator

IMAGES = torch.randn(40, 1, 6, 6, generator=generator(0, "images"))
SEQUENCES = torch.randn(40, 20, 2, generator=generator(0, "sequences"))
ATTACK = ParameterAttack(0.2, initial_std_mismatch=0.01, n_attack_steps=4)


def network() -> CNN:
    return CNN((1, 6, 6), 3, (4,), 3, 1, (8,), generator=generator(0))


def spiking() -> LSNN:
    model = LSNN((20, 2), 3, 16, generator=generator(0))
    with torch.no_grad():
        model.W_out.mul_(30)
        model.b_out.sub_(model(SEQUENCES).mean(0))
    return model


def labels_of(model: torch.nn.Module, samples: torch.Tensor) -> torch.Tensor:
    return model(samples).argmax(1)


@pytest.mark.parametrize("loss", ["kl", "madry"])
@pytest.mark.parametrize(("make", "samples"), [(network, IMAGES), (spiking, SEQUENCES)])
def test_the_way_ends_at_what_the_attack_finds(make: Callable, samples: torch.Tensor, loss: str) -> None:
    model = make()
    attack, labels = ParameterAttack(**{**vars(ATTACK), "boundary_loss": loss}), labels_of(model, samples)
    found = attack_path(model, samples, labels, attack, n_random=2, seed=7)
    star = attacked_parameters(model, samples, labels, attack, seed=7)
    with torch.no_grad():
        attacked = functional_call(model, star, (samples,))
        expected = boundary_loss(loss)(model(samples).double(), attacked.double(), labels).item()
    assert found["adversarial"][-1] == pytest.approx(expected, rel=1e-5)
    assert found["adversarial_accuracy"][-1] == worst_case_accuracy(model, samples, labels, attack, 7) < 1
    assert {name: values.shape for name, values in found.items()} == {
        "adversarial": (5,),
        "random": (2, 5),
        "adversarial_accuracy": (5,),
        "random_accuracy": (2, 5),
    }


def test_every_way_begins_at_the_attacks_random_start() -> None:
    model, labels = network(), torch.zeros(40, dtype=torch.long)
    found = attack_path(model, IMAGES, labels, ATTACK, n_random=3, seed=1)
    start = ParameterAttack(**{**vars(ATTACK), "n_attack_steps": 0})
    alone = attack_path(model, IMAGES, labels, start, n_random=0, seed=1)
    assert alone["random"].shape == (0, 1)
    assert found["adversarial"][0] == alone["adversarial"][0] > 0
    assert found["random"][:, 0].tolist() == [alone["adversarial"][0]] * 3


def test_each_step_of_the_attack_moves_each_parameter_by_its_share_and_the_last_is_what_is_found() -> None:
    model = network().double()
    theta, images, labels = parameters_of(model), IMAGES.double(), torch.arange(40) % 3
    gradient = gradient_on(model, images, labels, ATTACK)
    steps = list(attack_steps(gradient, theta, ATTACK, generator(4)))
    found = find_perturbation(gradient, theta, ATTACK, generator(4))
    assert len(steps) == 5
    for name in theta:
        assert torch.equal(steps[-1].relative[name], found.relative[name])
        moves = torch.stack([step.relative[name] for step in steps]).diff(dim=0).abs()
        moved = (moves - 0.2 / 4).abs() < 1e-15
        assert (moved | (moves == 0)).all() and moved.double().mean() > 0.7  # 0: of neurons silent on all images
        assert not found.constant[name].any()


def test_a_random_way_by_hand() -> None:
    model = network().double()
    images, labels = IMAGES.double(), labels_of(network(), IMAGES)
    attack = ParameterAttack(0.2, initial_std_mismatch=0.0, n_attack_steps=4)
    found = attack_path(model, images, labels, attack, n_random=2)
    theta, stream = parameters_of(model), generator(0, "random way", 1)
    signs = {name: 2 * torch.randint(0, 2, p.shape, generator=stream) - 1 for name, p in theta.items()}
    for t in range(5):
        moved = {name: p + 0.05 * t * p.abs() * signs[name] for name, p in theta.items()}
        with torch.no_grad():
            logits = functional_call(model, moved, (images,))
            p, q = model(images).softmax(1), logits.softmax(1)
        by_hand = (p * (p / q).log()).sum(1).mean().item()
        assert found["random"][1, t] == pytest.approx(by_hand, abs=1e-12)
        assert found["random_accuracy"][1, t] == (logits.argmax(1) == labels).double().mean().item()


def test_the_attack_outruns_every_random_way_of_its_size() -> None:
    model = network()
    found = attack_path(model, IMAGES, labels_of(model, IMAGES), ATTACK, n_random=20)
    assert (np.diff(found["adversarial"]) > 0).all()
    assert (found["adversarial"][1:] > 3 * found["random"][:, 1:]).all()
    assert len(np.unique(found["random"][:, -1])) == 20


def test_signs_are_as_often_up_as_down() -> None:
    signs = random_signs({"w": torch.zeros(10_000)}, generator(0))["w"]
    assert set(signs.tolist()) == {-1.0, 1.0} and signs.mean().abs() < 0.03
