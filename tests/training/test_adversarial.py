"""The attack on parameters against an independent one that unrolls every step, and against its limits."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from gridrun.data import load
from gridrun.nn.cnn import CNN
from gridrun.nn.lsnn import LSNN
from gridrun.training.adversarial import (
    ParameterAttack,
    boundary_gradient,
    find_perturbation,
    mean_gradient,
)
from gridrun.training.evaluation import parameters_of
from gridrun.training.losses import boundary_loss
from gridrun.training.objective import Method, objective
from gridrun.training.seeding import generator

IMAGES = torch.randn(12, 1, 4, 4, generator=generator(0, "images"), dtype=torch.double)
LABELS = torch.arange(12) % 3
SMALL = ParameterAttack(attack_size_mismatch=0.2, initial_std_mismatch=0.05, n_attack_steps=4)


def network() -> CNN:
    return CNN((1, 4, 4), 3, (3,), 3, 1, (5,), generator=generator(7)).double()


def leaves(model: CNN) -> dict[str, Tensor]:
    return {name: p.requires_grad_() for name, p in parameters_of(model).items()}


def unrolled(theta: Mapping[str, Tensor], forward, attack: ParameterAttack, stream: torch.Generator):
    """theta* with every step kept in the graph, written as the paper does, step by step."""
    n, sizes = attack.n_attack_steps, (attack.attack_size_mismatch, attack.attack_size_constant)
    stds = (attack.initial_std_mismatch, attack.initial_std_constant)
    noise = [
        {k: torch.randn(v.shape, generator=stream, dtype=v.dtype) if std else 0 for k, v in theta.items()}
        for std in stds
    ]
    star = {k: v + v.abs() * stds[0] * noise[0][k] + stds[1] * noise[1][k] for k, v in theta.items()}
    for _ in range(n):
        loss = boundary_loss(attack.boundary_loss)(forward(theta), forward(star), LABELS)
        gradients = torch.autograd.grad(loss, list(star.values()), create_graph=True)
        for (k, v), g in zip(theta.items(), gradients, strict=True):
            star[k] = star[k] + (sizes[0] * v.abs() + sizes[1]) / n * torch.sign(g)
            if attack.clamp:
                radius = sizes[0] * v.abs() + sizes[1]
                star[k] = torch.minimum(torch.maximum(star[k], v - radius), v + radius)
    return star


VARIANTS = [
    SMALL,
    ParameterAttack(0.1, 0.01, 0.02, 0.005, 5),
    ParameterAttack(0.1, 0.01, 0.2, 0.05, 5, clamp=True),
]


@pytest.mark.parametrize(("attack", "loss"), list(product(VARIANTS, ["kl", "reverse_kl", "js", "l2", "madry"])))
def test_gradient_through_the_attack_is_that_of_all_steps_unrolled(attack: ParameterAttack, loss: str) -> None:
    attack = ParameterAttack(**{**vars(attack), "boundary_loss": loss})
    model, beta = network(), 0.25
    theta = leaves(model)
    found, _ = objective(model, theta, IMAGES, LABELS, Method(beta, attack), generator(3))
    ours = torch.autograd.grad(found, list(theta.values()))

    def forward(parameters: Mapping[str, Tensor]) -> Tensor:
        return functional_call(model, dict(parameters), (IMAGES,))

    star = unrolled(theta, forward, attack, generator(3))
    robust = boundary_loss(loss)(forward(theta), forward(star), LABELS)
    full = F.cross_entropy(forward(theta), LABELS) + beta * robust
    theirs = torch.autograd.grad(full, list(theta.values()))
    assert full.item() == pytest.approx(found.item(), abs=1e-12)
    assert max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)) < 1e-12


@pytest.mark.parametrize("loss", ["kl", "reverse_kl", "js", "l2", "madry"])
def test_gradient_through_the_attack_on_an_lsnn_by_the_chain_rule(loss: str) -> None:
    """d theta* / d theta = 1 + sign(theta) relative, where relative is what the attack found; pieces put together."""
    attack, beta = ParameterAttack(**{**vars(SMALL), "boundary_loss": loss}), 0.25
    model = LSNN((30, 2), 3, n_hidden=12, generator=generator(7)).double()
    spikes = 2 * torch.randn(12, 30, 2, generator=generator(0, "beats"), dtype=torch.double)
    theta = leaves(model)
    whole, _ = objective(model, theta, spikes, LABELS, Method(beta, attack), generator(3))
    ours = torch.autograd.grad(whole, list(theta.values()))

    def forward(parameters: Mapping[str, Tensor]) -> Tensor:
        return functional_call(model, dict(parameters), (spikes,))

    assert forward(theta).std() > 1e-3  # it does spike
    found = find_perturbation(boundary_gradient(forward, forward(theta), LABELS, attack), theta, attack, generator(3))
    clean, star = leaves(model), {k: v.detach().requires_grad_() for k, v in found.applied_to(theta).items()}
    natural = F.cross_entropy(forward(clean), LABELS)
    robust = boundary_loss(loss)(forward(clean), forward(star), LABELS)
    by_clean = torch.autograd.grad(natural + beta * robust, list(clean.values()), retain_graph=True)
    by_star = torch.autograd.grad(beta * robust, list(star.values()))
    for g, a, b, (name, tensor) in zip(ours, by_clean, by_star, theta.items(), strict=True):
        assert torch.allclose(g, a + b * (1 + tensor.detach().sign() * found.relative[name]), rtol=0, atol=1e-12)


def robust_gradient(model: CNN, batch: tuple[Tensor, Tensor], attack: ParameterAttack, is_constant: bool) -> Tensor:
    """The gradient of the robustness loss alone, by all parameters."""
    theta = leaves(model)
    whole, _ = objective(model, theta, *batch, Method(1.0, attack, treat_as_constant=is_constant), generator(3))
    plain, _ = objective(model, theta, *batch, Method(), generator(3))
    return torch.cat([g.flatten() for g in torch.autograd.grad(whole - plain, list(theta.values()))])


def test_an_attack_held_constant_gives_another_update() -> None:
    exact, constant = (
        robust_gradient(network(), (IMAGES, LABELS), SMALL, is_constant) for is_constant in (False, True)
    )
    assert F.cosine_similarity(exact, constant, dim=0) < 0.5


def test_of_a_new_network_on_the_digits_that_update_goes_the_other_way() -> None:
    """A regression: the cosine was -0.16 when this was written. From seed to seed it goes from -0.3 to 0.1."""
    images, labels = load("digits").train
    model = CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64), generator=generator(0))
    batch, attack = (images[:100], labels[:100]), ParameterAttack(attack_size_mismatch=0.1)
    exact, constant = (robust_gradient(model, batch, attack, is_constant) for is_constant in (False, True))
    assert float(F.cosine_similarity(exact, constant, dim=0)) == pytest.approx(-0.16, abs=0.05)


def _forward_and_gradient(attack: ParameterAttack):
    model = network()
    theta = parameters_of(model)

    def forward(parameters: Mapping[str, Tensor]) -> Tensor:
        return functional_call(model, dict(parameters), (IMAGES,))

    return theta, forward, boundary_gradient(forward, forward(theta), LABELS, attack)


def test_every_weight_moves_at_most_by_its_share() -> None:
    attack = ParameterAttack(0.1, 0.01, initial_std_mismatch=0.5, n_attack_steps=3, clamp=True)
    theta, _, gradient = _forward_and_gradient(attack)
    star = find_perturbation(gradient, theta, attack, generator(0)).applied_to(theta)
    for name, tensor in theta.items():
        radius = 0.1 * tensor.abs() + 0.01
        assert ((star[name] - tensor).abs() <= radius + 1e-15).all()
        assert ((star[name] - tensor).abs() > 0.9 * radius).any() or tensor.numel() < 10


def test_more_steps_raise_the_boundary_loss_more_than_chance() -> None:
    losses = []
    for attack in [ParameterAttack(0.1, n_attack_steps=n) for n in (1, 10)]:
        theta, forward, gradient = _forward_and_gradient(attack)
        star = find_perturbation(gradient, theta, attack, generator(0)).applied_to(theta)
        losses.append(boundary_loss("kl")(forward(theta), forward(star), LABELS).item())
    theta, forward, _ = _forward_and_gradient(SMALL)
    signs = {k: torch.randn(v.shape, generator=generator(1), dtype=v.dtype).sign() for k, v in theta.items()}
    chance = forward({k: v * (1 + 0.1 * signs[k]) for k, v in theta.items()})
    assert losses[1] > losses[0] > 3 * boundary_loss("kl")(forward(theta), chance, LABELS).item()


def test_l2_steps_have_the_length_of_the_step_whatever_the_gradient() -> None:
    attack = ParameterAttack(0.0, 0.5, 0.0, n_attack_steps=1, p_norm="2")
    theta, _, gradient = _forward_and_gradient(ParameterAttack(boundary_loss="madry"))
    star = find_perturbation(gradient, theta, attack, generator(0)).applied_to(theta)
    for name, tensor in theta.items():
        assert torch.linalg.vector_norm(star[name] - tensor).item() == pytest.approx(0.5)


def test_the_mean_gradient_of_parts_is_the_gradient_of_the_whole() -> None:
    model, attack = network(), ParameterAttack()
    theta = parameters_of(model)
    star = {k: 1.1 * v for k, v in theta.items()}

    def gradient_on(images: Tensor, labels: Tensor):
        def forward(parameters: Mapping[str, Tensor]) -> Tensor:
            return functional_call(model, dict(parameters), (images,))

        return boundary_gradient(forward, forward(theta), labels, attack)

    whole = gradient_on(IMAGES, LABELS)(star)
    parts = mean_gradient([gradient_on(IMAGES[:5], LABELS[:5]), gradient_on(IMAGES[5:], LABELS[5:])], [5, 7])
    assert all(torch.allclose(parts(star)[k], whole[k], atol=1e-14) for k in theta)


SIZES = ("attack_size_mismatch", "attack_size_constant", "initial_std_mismatch", "initial_std_constant")
WRONG: list[dict[str, Any]] = [{"p_norm": "1"}, {"p_norm": 2}, {"boundary_loss": "madri"}, {"n_attack_steps": -1}]


@pytest.mark.parametrize("wrong", [*WRONG, {SIZES[0]: float("nan")}, *({size: -0.1} for size in SIZES)])
def test_an_impossible_attack_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        ParameterAttack(**wrong)
