"""AWP, AMP, SAM and ASAM by hand on two parameters, and against references of a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from gridrun.nn.cnn import CNN
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.amp import AMP
from gridrun.training.awp import AWP
from gridrun.training.batch import Batch
from gridrun.training.displacement import Displacement
from gridrun.training.evaluation import parameters_of
from gridrun.training.input_attack import attacked_inputs
from gridrun.training.noise import noisy
from gridrun.training.objective import Method, objective
from gridrun.training.sam import SAM
from gridrun.training.seeding import generator

Theta = dict[str, Tensor]
IMAGES = torch.randn(12, 1, 4, 4, generator=generator(0, "images"), dtype=torch.double)
LABELS = torch.arange(12) % 3
MADRY = ParameterAttack(0.2, 0.01, 0.05, 0.005, n_attack_steps=3, boundary_loss="madry")


class Line(nn.Module):
    """Two parameters: logits (w x + b, 0) of a number x, so that the loss of label 0 is log(1 + exp(-(w x + b)))."""

    def __init__(self, w: float, b: float) -> None:
        super().__init__()
        self.w, self.b = (nn.Parameter(torch.tensor(v, dtype=torch.double)) for v in (w, b))

    def forward(self, x: Tensor, masks: Any = None) -> Tensor:
        z = self.w * x + self.b
        return torch.stack([z, torch.zeros_like(z)], 1)

    def dropout_masks(self, *arguments: Any) -> None:
        return None


def leaves(model: nn.Module) -> Theta:
    return {name: p.requires_grad_() for name, p in parameters_of(model).items()}


def gradient_by(model: nn.Module, images: Tensor, labels: Tensor, method: Method) -> Theta:
    theta = leaves(model)
    loss, _ = objective(model, theta, images, labels, method, generator(3))
    return dict(zip(theta, torch.autograd.grad(loss, list(theta.values())), strict=True))


def on_the_line(displacement: Displacement, w: float, b: float, x: float) -> tuple[float, float]:
    found = gradient_by(
        Line(w, b), torch.tensor([x], dtype=torch.double), torch.tensor([0]), Method(0, displacement=displacement)
    )
    return found["w"].item(), found["b"].item()


def slope(w: float, b: float, x: float) -> tuple[float, float]:
    """d log(1 + exp(-z)) / d (w, b) at z = w x + b."""
    share = 1 / (1 + exp(w * x + b))
    return -share * x, -share


def test_awp_by_hand() -> None:
    """Each of the attack's steps lowers w x and b; the gradient is half of the way there."""
    w, b, x = 1.5, -0.5, -2.0
    attack = ParameterAttack(0.2, 0.0, 0.0, n_attack_steps=4, boundary_loss="madry")
    expected = slope(w + 0.5 * 0.2 * 1.5, b - 0.5 * 0.2 * 0.5, x)
    assert on_the_line(AWP(attack, gamma=0.5), w, b, x) == pytest.approx(expected, abs=1e-14)
    assert expected != pytest.approx(slope(w, b, x), abs=1e-2)


def test_awps_inputs_by_hand() -> None:
    """Where the loss falls with x all inputs end at x - eps, wherever in the ball they began, and theta* is x's."""
    w, b, x = 1.5, -0.5, 0.25
    attack = ParameterAttack(0.2, 0.0, 0.0, n_attack_steps=2, boundary_loss="madry")
    moved = slope(w - 0.1 * 0.2 * 1.5, b - 0.1 * 0.2 * 0.5, x - 0.75)
    assert on_the_line(AWP(attack, eps_pga=0.75, nb_iter=3), w, b, x) == pytest.approx(moved, abs=1e-14)


def test_sam_and_asam_by_hand() -> None:
    w, b, x = 1.5, -0.5, -2.0
    gw, gb = slope(w, b, x)
    length = (gw**2 + gb**2) ** 0.5
    up = slope(w + 0.3 * gw / length, b + 0.3 * gb / length, x)
    assert on_the_line(SAM(0.3), w, b, x) == pytest.approx(up, abs=1e-14)
    tw, tb = 1.51, 0.51
    length = ((tw * gw) ** 2 + (tb * gb) ** 2) ** 0.5
    up = slope(w + 0.3 * tw**2 * gw / length, b + 0.3 * tb**2 * gb / length, x)
    assert on_the_line(SAM(0.3, adaptive=True), w, b, x) == pytest.approx(up, abs=1e-14)


def network() -> CNN:
    return CNN((1, 4, 4), 3, (3,), 3, 1, (5,), generator=generator(7)).double()


def cross_entropy_gradient(theta: Mapping[str, Tensor], images: Tensor = IMAGES) -> Theta:
    at = {name: tensor.detach().requires_grad_() for name, tensor in theta.items()}
    loss = F.cross_entropy(functional_call(network(), at, (images,)), LABELS)
    return dict(zip(at, torch.autograd.grad(loss, list(at.values())), strict=True))


def assert_close(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert max((found[k] - wanted[k]).abs().max().item() for k in found) < 1e-12


def star(theta: Theta, stream: torch.Generator) -> Theta:
    """The attack of MADRY, step by step."""
    noise = [{k: torch.randn(v.shape, generator=stream, dtype=v.dtype) for k, v in theta.items()} for _ in range(2)]
    found = {k: v + 0.05 * v.abs() * noise[0][k] + 0.005 * noise[1][k] for k, v in theta.items()}
    for _ in range(3):
        g = cross_entropy_gradient(found)
        found = {k: found[k] + (0.2 * v.abs() + 0.01) / 3 * g[k].sign() for k, v in theta.items()}
    return found


@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_awp_is_the_gradient_a_part_of_the_way_to_the_attack(gamma: float) -> None:
    theta = parameters_of(network())
    found = star(theta, generator(3))
    there = {k: v + gamma * (found[k] - v) for k, v in theta.items()}
    ours = gradient_by(network(), IMAGES, LABELS, Method(displacement=AWP(MADRY, gamma)))
    assert_close(ours, cross_entropy_gradient(there))


def test_the_training_loss_at_a_constant_theta_star_has_no_gradient() -> None:
    """The study's way to AMP (beta_robustness 9999, treat_as_constant, madry) is standard training to the last bit."""
    study = gradient_by(network(), IMAGES, LABELS, Method(9999, MADRY, treat_as_constant=True))
    standard = gradient_by(network(), IMAGES, LABELS, Method())
    assert all(torch.equal(study[k], standard[k]) for k in standard)
    amp = gradient_by(network(), IMAGES, LABELS, Method(displacement=AWP(MADRY, 1.0)))
    assert not torch.allclose(amp["dense.0.weight"], standard["dense.0.weight"])


@pytest.mark.parametrize(("eps", "lr", "n_steps"), [(0.3, 1.0, 1), (0.3, 50.0, 3), (9.0, 0.5, 4)])
def test_amp_in_an_l2_ball(eps: float, lr: float, n_steps: int) -> None:
    theta, change = parameters_of(network()), torch.zeros(1, dtype=torch.double)
    flat = torch.cat([v.flatten() for v in theta.values()])
    for _ in range(n_steps):
        g = cross_entropy_gradient(shaped(flat + change, theta))
        change = change + lr * torch.cat([v.flatten() for v in g.values()])
        if change.norm() > eps:
            change = eps * change / change.norm()
    ours = gradient_by(network(), IMAGES, LABELS, Method(displacement=AMP(eps, lr, n_steps)))
    assert_close(ours, cross_entropy_gradient(shaped(flat + change, theta)))


def shaped(flat: Tensor, like: Theta) -> Theta:
    parts = flat.split([v.numel() for v in like.values()])
    return {name: part.view_as(v) for (name, v), part in zip(like.items(), parts, strict=True)}


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_is_the_gradient_one_step_up(adaptive: bool) -> None:
    theta = parameters_of(network())
    flat = torch.cat([v.flatten() for v in theta.values()])
    g = torch.cat([v.flatten() for v in cross_entropy_gradient(theta).values()])
    scale = flat.abs() + 0.01 if adaptive else torch.ones_like(flat)
    change = 0.7 * scale * (scale * g) / (scale * g).norm()
    ours = gradient_by(network(), IMAGES, LABELS, Method(displacement=SAM(0.7, adaptive)))
    assert_close(ours, cross_entropy_gradient(shaped(flat + change, theta)))
    assert (change / scale).norm().item() == pytest.approx(0.7)


def test_amp_that_hits_its_ball_in_one_step_is_sam() -> None:
    amp = gradient_by(network(), IMAGES, LABELS, Method(displacement=AMP(0.4, lr=1e6)))
    assert_close(amp, gradient_by(network(), IMAGES, LABELS, Method(displacement=SAM(0.4))))


def test_attacked_inputs_stay_in_their_ball_and_cost_more_than_chance() -> None:
    model = network()
    theta, eps = parameters_of(model), 0.2
    batch = Batch(model, IMAGES, LABELS)
    moved = attacked_inputs(batch, theta, eps, 5, generator(0))
    assert (moved - IMAGES).abs().max() <= eps + 1e-15
    clean = batch.loss(theta)[0].item()
    signs = [torch.randn(IMAGES.shape, generator=generator(seed), dtype=torch.double).sign() for seed in range(5)]
    chance = [replace(batch, inputs=IMAGES + eps * sign).loss(theta)[0].item() - clean for sign in signs]
    assert replace(batch, inputs=moved).loss(theta)[0].item() - clean > 2 * max(map(abs, chance))


@pytest.mark.parametrize("displacement", [AWP(MADRY, eps_pga=0.1), AMP(0.5), SAM(0.5)])
def test_forward_noise_comes_on_top(displacement: Displacement) -> None:
    theta, stream = leaves(network()), generator(3)
    batch, there = displacement.moved(Batch(network(), IMAGES, LABELS), theta, stream)
    by_hand = F.cross_entropy(functional_call(network(), noisy(there, 0.3, stream), (batch.inputs,)), LABELS)
    method = Method(displacement=displacement, noisy_forward_std=0.3)
    assert objective(network(), theta, IMAGES, LABELS, method, generator(3))[0].item() == by_hand.item()


def test_the_warmup_is_standard_training() -> None:
    method = Method(displacement=SAM(), warmup=2)
    assert [method.at_epoch(epoch).displacement for epoch in range(4)] == [None, None, SAM(), SAM()]


class Spiking(Line):
    """A network with a firing rate, w."""

    def forward(self, x: Tensor, masks: Any = None, with_rates: bool = False) -> Any:
        logits = super().forward(x)
        return (logits, self.w.expand(len(x), 1)) if with_rates else logits

    def activity_loss(self, rates: Tensor) -> Tensor:
        return (rates.mean(0) - 0.01).square().sum()


def test_the_firing_rate_term_is_in_the_natural_loss_wherever_it_is_taken() -> None:
    x, label = torch.tensor([2.0], dtype=torch.double), torch.tensor([0])
    plain, regular = (gradient_by(Spiking(0.5, 0.1), x, label, Method(reg=reg)) for reg in (0.0, 0.25))
    assert (regular["w"] - plain["w"]).item() == pytest.approx(0.25 * 2 * (0.5 - 0.01))
    assert regular["b"] == plain["b"]
    gw, gb = slope(0.5, 0.1, 2.0)
    gw += 0.25 * 2 * 0.49
    w = 0.5 + 0.3 * gw / (gw**2 + gb**2) ** 0.5
    b = 0.1 + 0.3 * gb / (gw**2 + gb**2) ** 0.5
    sam = gradient_by(Spiking(0.5, 0.1), x, label, Method(reg=0.25, displacement=SAM(0.3)))
    assert sam["w"].item() == pytest.approx(slope(w, b, 2.0)[0] + 0.25 * 2 * (w - 0.01))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AWP(ParameterAttack()), "boundary_loss='kl' has no place here: set boundary_loss=\"madry\""),
        (lambda: AWP(MADRY, gamma=0.0), "awp_gamma=0.0: want a number above 0"),
        (lambda: AMP(0.0), "amp_eps=0.0: want a number above 0"),
        (lambda: SAM(-1.0), "sam_rho=-1.0: want a number above 0"),
        (lambda: Method(0.25, displacement=SAM()), "beta_robustness=0.25 beside SAM.*set beta_robustness to 0"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
