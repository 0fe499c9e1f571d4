"""What a network spares, no noise and no attack moves; noise by the range of a layer; clipping."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from gridrun.faults.mismatch import mismatched
from gridrun.faults.worst_case import attacked_parameters
from gridrun.nn.batch_norm import settle
from gridrun.nn.lsnn import LSNN
from gridrun.nn.resnet_trained import TrainedResNet
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.awp import AWP
from gridrun.training.clipping import clip_weights
from gridrun.training.evaluation import accuracy, parameters_of, perturbed_of
from gridrun.training.loop import Schedule, fit
from gridrun.training.noise import noisy
from gridrun.training.objective import Method, objective
from gridrun.training.seeding import generator

ATTACK = ParameterAttack(attack_size_mismatch=0.2, n_attack_steps=2)
IMAGES = torch.randn(20, 3, 8, 8, generator=generator(0, "images"))
LABELS = torch.randint(0, 4, (20,), generator=generator(0, "labels"))
METHODS = {
    "beta": Method(0.25, ATTACK),
    "forward": Method(noisy_forward_std=0.3),
    "range": Method(noisy_forward_std=0.3, noise_scale="range"),
    "awp": Method(displacement=AWP(ParameterAttack(boundary_loss="madry"), 1.0)),
}


class Watched(TrainedResNet):
    """It writes down the parameters of every forward pass."""

    def forward(self, images: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        self.__dict__.setdefault("seen", []).append({k: p.detach().clone() for k, p in self.named_parameters()})
        return super().forward(images, masks)


def watched() -> Watched:
    return Watched((3, 8, 8), 4, n_blocks=1, width=4, generator=generator(0))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_training_moves_all_weights_but_spares_batch_normalisation_and_learns_it_too(method: Method) -> None:
    model = watched()
    theta = {k: (p * 1.1).detach().requires_grad_() for k, p in model.named_parameters()}  # not the model's own
    loss, _ = objective(model, theta, IMAGES, LABELS, method, generator(1))
    passes = model.__dict__["seen"]
    moved = {k for one in passes for k in theta if not torch.equal(one[k], theta[k])}
    assert moved == set(theta) - model.spared - {"linear.bias"}  # which is 0, and the changes are relative
    gradients = dict(zip(theta, torch.autograd.grad(loss, list(theta.values()))))
    assert all(gradients[name].any() for name in model.spared)


def test_mismatch_and_the_worst_case_spare_it_too() -> None:
    model = watched().eval()
    before = parameters_of(model)
    with mismatched(model, 0.3, generator(0)):
        moved = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    assert moved == set(before) - model.spared - {"linear.bias"}
    assert all(torch.equal(p, before[k]) for k, p in model.named_parameters())
    found = attacked_parameters(model, IMAGES, LABELS, ATTACK)
    assert found.keys() == perturbed_of(model).keys() == set(before) - model.spared


def test_a_network_that_spares_nothing_is_moved_as_a_whole() -> None:
    model = LSNN((5, 2), 3, n_hidden=4)
    assert perturbed_of(model).keys() == {"W_in", "W_rec", "W_out", "b_out"}


def test_each_epoch_is_judged_with_the_statistics_of_its_weights() -> None:
    """Validation images one by one, so that a batch of them has no statistics to lend."""
    model = TrainedResNet((3, 8, 8), 4, n_blocks=1, width=4, generator=generator(0))
    other = 5 + 3 * torch.randn(40, 3, 8, 8, generator=generator(1)), torch.arange(40) % 4
    for _, metrics, state in fit(model, (IMAGES, LABELS), other, Method(), Schedule((2,), (0.1,), batch_size=5), 0):
        judge = TrainedResNet((3, 8, 8), 4, n_blocks=1, width=4)
        settle(judge, state.theta, IMAGES)
        logits = torch.cat([functional_call(judge, dict(state.theta), (image[None],)) for image in other[0]])
        assert metrics["validation_accuracy"] == accuracy(logits, other[1])


def test_noise_by_the_range_of_a_layer() -> None:
    theta = {"w": torch.linspace(-1.0, 3.0, 40_000), "constant": torch.full((5,), 7.0)}
    changed = noisy(theta, 0.3, generator(0), "range")
    change = changed["w"] - theta["w"]
    assert change.std().item() == pytest.approx(0.3 * 2.0, rel=0.02)
    assert change[:10_000].std().item() == pytest.approx(change[-10_000:].std().item(), rel=0.05)
    assert torch.equal(changed["constant"], theta["constant"])


def test_the_firing_rate_term_is_in_the_natural_loss() -> None:
    model = LSNN((20, 2), 3, n_hidden=8, generator=generator(0))
    theta = {k: p.detach().requires_grad_() for k, p in model.named_parameters()}
    inputs, labels = torch.randn(6, 20, 2, generator=generator(1)), torch.tensor([0, 1, 2, 0, 1, 2])

    def loss(method: Method) -> float:
        return objective(model, theta, inputs, labels, method, generator(2))[0].item()

    def activity(parameters: Mapping[str, Tensor]) -> tuple[float, float]:
        logits, rates = functional_call(model, dict(parameters), (inputs,), {"with_rates": True})
        return F.cross_entropy(logits, labels).item(), (rates - 0.01).square().sum().item()

    entropy, term = activity(theta)
    assert term > 1e-3
    assert loss(Method()) == pytest.approx(entropy)
    assert loss(Method(reg=2.0)) == pytest.approx(entropy + 2 * term)
    robust = loss(Method(0.25, ATTACK)) - entropy
    assert loss(Method(0.25, ATTACK, reg=2.0)) == pytest.approx(entropy + 2 * term + robust)


def test_clipping_leaves_what_is_within_and_vectors_alone() -> None:
    w = torch.randn(50, 40, generator=generator(0))
    low, high = w.mean() - 2 * w.std(), w.mean() + 2 * w.std()
    theta = {"w": w.clone(), "b": torch.tensor([100.0, 0.0, 0.0])}
    clip_weights(theta, 2.0)
    inside = (w > low) & (w < high)
    assert 0.94 < inside.double().mean() < 0.97
    assert torch.equal(theta["w"][inside], w[inside])
    assert theta["w"].min().item() == pytest.approx(low.item()) and theta["w"].max().item() == pytest.approx(
        high.item()
    )
    assert theta["b"].tolist() == [100.0, 0.0, 0.0]
