"""The loop, its optimiser, forward noise and dropout, by second roads."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gridrun import data
from gridrun.faults.mismatch import accuracy_under_mismatch
from gridrun.faults.worst_case import worst_case_accuracy
from gridrun.nn.cnn import CNN
from gridrun.training.adam import Adam
from gridrun.training.adversarial import ParameterAttack, boundary_gradient, find_perturbation
from gridrun.training.amp import AMP
from gridrun.training.awp import AWP
from gridrun.training.loop import Schedule, State, batches, fit, start
from gridrun.training.losses import kl
from gridrun.training.noise import noisy
from gridrun.training.objective import Method, objective
from gridrun.training.sam import SAM
from gridrun.training.seeding import generator

MADRY = ParameterAttack(0.1, n_attack_steps=1, boundary_loss="madry")
METHODS = {
    "standard": Method(),
    "awp": Method(displacement=AWP(MADRY, eps_pga=0.1, nb_iter=1)),
    "asam": Method(displacement=SAM(0.5, adaptive=True)),
    "dropout": Method(dropout_prob=0.3),
    "forward": Method(noisy_forward_std=0.3),
    "both": Method(0.25, ParameterAttack(attack_size_mismatch=0.2, n_attack_steps=2), noisy_forward_std=0.3),
}
SHORT = Schedule((2, 1), (1e-3, 1e-4))


def network(seed: int = 0) -> CNN:
    return CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(seed, "init"))


def final(model: CNN, method: Method, schedule: Schedule = SHORT, seed: int = 0, **options) -> State:
    splits = data.load("digits", validation_fraction=0.2)
    train = splits.train[0][:300], splits.train[1][:300]
    *_, (_, _, state) = fit(model, train, splits.validation, method, schedule, seed, **options)
    return state


def bits(state: State) -> list[bytes]:
    return [t.numpy().tobytes() for t in state.weights("final").values()]


def test_adam_is_torchs_adam() -> None:
    start_at = {"w": torch.randn(5, dtype=torch.double), "b": torch.randn(2, dtype=torch.double)}
    ours = {k: v.clone() for k, v in start_at.items()}
    theirs = [v.clone().requires_grad_() for v in start_at.values()]
    reference, adam = torch.optim.Adam(theirs, lr=0.01), Adam.at(ours)
    for step in range(20):
        gradients = [torch.randn(v.shape, generator=generator(step), dtype=v.dtype) for v in theirs]
        for tensor, g in zip(theirs, gradients, strict=True):
            tensor.grad = g.clone()
        reference.step()
        adam.update(ours, gradients, 0.01)
    assert all(torch.allclose(a, b.detach(), atol=1e-14) for a, b in zip(ours.values(), theirs, strict=True))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_same_seed_same_bits_and_the_global_state_untouched(method: Method) -> None:
    before = torch.random.get_rng_state()
    first = final(network(), method)
    torch.manual_seed(12345)  # what others draw does not matter
    torch.random.set_rng_state(before)
    assert bits(first) == bits(final(network(), method))
    assert bits(first) != bits(final(network(), method, seed=1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_run_continued_from_a_checkpoint_ends_in_the_same_bits() -> None:
    whole = final(network(), METHODS["both"])
    half = final(network(), METHODS["both"], Schedule((1,), (1e-3,)))
    assert half.epoch == 1
    assert bits(final(network(), METHODS["both"], state=copy.deepcopy(half))) == bits(whole)


def test_rates_change_with_the_stretch_and_metrics_tell() -> None:
    splits = data.load("digits")
    logged = [m for _, m, _ in fit(network(), splits.train, splits.test, Method(), SHORT, 0)]
    assert [m["learning_rate"] for m in logged] == [1e-3, 1e-3, 1e-4]
    assert [m["epoch"] for m in logged] == [1, 2, 3]
    assert logged[-1]["training_accuracy"] > logged[0]["training_accuracy"]
    assert logged[-1]["loss"] < logged[0]["loss"]


def test_the_best_weights_are_those_of_the_best_epoch() -> None:
    splits = data.load("digits", validation_fraction=0.2)
    wild = Schedule((6,), (0.02,))
    epochs = [
        (m["validation_accuracy"], s.weights("final"), s)
        for _, m, s in fit(network(), splits.train, splits.validation, Method(), wild, 0)
    ]
    best = max(a for a, _, _ in epochs)
    theta = next(w for a, w, _ in epochs if a == best)
    kept = epochs[-1][2].weights("best")
    assert all(torch.equal(kept[k], theta[k]) for k in theta)


def test_best_without_validation_images_says_what_to_set() -> None:
    with pytest.raises(ValueError, match="validation_fraction"):
        start(network()).weights("best")


def test_every_image_is_seen_about_equally_often() -> None:
    counts = torch.zeros(1257)
    for epoch in range(100):
        for index in batches(1257, 100, 0, epoch):
            counts[index] += 1
    assert counts.sum() == 100 * 1200
    assert counts.min() > 80


def test_two_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"n_epochs \[30, 10\], learning_rate \[0.001\]"):
        Schedule([30, 10], [1e-3])


def test_forward_noise_is_relative_fresh_and_without_derivative() -> None:
    theta = {"w": torch.full((20_000,), 2.0, requires_grad=True), "zero": torch.zeros(3, requires_grad=True)}
    stream = generator(0)
    first, second = noisy(theta, 0.3, stream), noisy(theta, 0.3, stream)
    assert (first["w"] - 2).std().item() == pytest.approx(0.6, rel=0.03)
    assert not torch.equal(first["w"], second["w"])
    assert torch.equal(first["zero"], torch.zeros(3))
    first["w"].sum().backward()
    assert torch.equal(theta["w"].grad, torch.ones(20_000))


def test_loss_under_forward_noise_is_the_loss_at_noisy_weights() -> None:
    model = network()
    theta = {k: p.detach().requires_grad_() for k, p in model.named_parameters()}
    images, labels = (t[:50] for t in data.load("digits").test)
    loss, logits = objective(model, theta, images, labels, METHODS["forward"], generator(9))
    at = noisy(theta, 0.3, generator(9))
    by_hand = F.cross_entropy(torch.func.functional_call(model, at, (images,)), labels)
    assert loss.item() == by_hand.item() == F.cross_entropy(logits, labels).item()
    assert loss.item() != F.cross_entropy(model(images), labels).item()


def test_noise_stays_out_of_the_robustness_loss() -> None:
    """L_nat at noisy parameters, L_rob between the clean ones and those attacked, as in the original."""
    model, stream = network(), generator(9)
    theta = {k: p.detach().requires_grad_() for k, p in model.named_parameters()}
    images, labels = (t[:50] for t in data.load("digits").test)

    def forward(parameters: Mapping[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, dict(parameters), (images,))

    natural = F.cross_entropy(forward(noisy(theta, 0.3, stream)), labels)
    gradient = boundary_gradient(forward, forward(theta), labels, METHODS["both"].attack)
    star = find_perturbation(gradient, theta, METHODS["both"].attack, stream).applied_to(theta)
    by_hand = natural + 0.25 * kl(forward(theta), forward(star), labels)
    loss, _ = objective(model, theta, images, labels, METHODS["both"], generator(9))
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    assert loss.item() != pytest.approx(natural.item(), rel=1e-4)


def test_robustness_waits_for_the_warmup() -> None:
    late = Method(0.25, ParameterAttack(n_attack_steps=1), warmup=2)
    assert [late.at_epoch(e).beta_robustness for e in range(4)] == [0, 0, 0.25, 0.25]
    assert bits(final(network(), late, Schedule((2,), (1e-3,)))) == bits(
        final(network(), Method(), Schedule((2,), (1e-3,)))
    )


def test_one_dropout_mask_serves_the_whole_attack() -> None:
    class Watched(CNN):
        seen: list[Tensor]

        def forward(self, images, masks=None):
            self.seen.append(masks[0])
            return super().forward(images, masks)

    model = Watched((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0))
    model.seen = []
    theta = {k: p.detach().requires_grad_() for k, p in model.named_parameters()}
    images, labels = (t[:10] for t in data.load("digits").test)
    method = Method(0.25, ParameterAttack(n_attack_steps=3), dropout_prob=0.3)
    objective(model, theta, images, labels, method, generator(0))
    assert len(model.seen) == 1 + 3 + 1  # clean, three steps, the attacked output: N + 2
    assert all(torch.equal(mask, model.seen[0]) for mask in model.seen)


def test_adversarial_regularisation_is_robust_where_standard_training_is_not() -> None:
    """The claim of the method, over three seeds of a short training: 10 points at mismatch 0.5, 30 under attack."""
    splits = data.load("digits")
    methods = {"standard": Method(), "beta": Method(0.25, ParameterAttack(0.1, n_attack_steps=3))}
    mismatch, attacked = {"standard": 0.0, "beta": 0.0}, {"standard": 0.0, "beta": 0.0}
    for name, seed in product(methods, [0, 1, 2]):
        model = CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64), generator=generator(seed, "init"))
        *_, (_, _, state) = fit(model, splits.train, None, methods[name], Schedule((18, 4), (1e-3, 1e-4)), seed)
        model.load_state_dict(state.weights("final"))
        mismatch[name] += accuracy_under_mismatch(model, *splits.test, 0.5, n_repeats=30, seed=seed).mean() / 3
        attacked[name] += worst_case_accuracy(model, *splits.test, ParameterAttack(0.1)) / 3
    assert mismatch["beta"] - mismatch["standard"] >= 0.10
    assert attacked["beta"] - attacked["standard"] >= 0.30


@pytest.mark.slow
def test_gradients_taken_elsewhere_help_under_mismatch_too() -> None:
    """AMP and ASAM, which cost two standard steps, against standard training at mismatch 0.5, over two seeds."""
    splits = data.load("digits")
    elsewhere = {"amp": AMP(0.5), "asam": SAM(3.0, adaptive=True)}
    methods = {"standard": Method(), **{name: Method(displacement=d) for name, d in elsewhere.items()}}
    found = dict.fromkeys(methods, 0.0)
    for name, seed in product(methods, [0, 1]):
        model = CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64), generator=generator(seed, "init"))
        *_, (_, _, state) = fit(model, splits.train, None, methods[name], Schedule((18, 4), (1e-3, 1e-4)), seed)
        model.load_state_dict(state.weights("final"))
        found[name] += accuracy_under_mismatch(model, *splits.test, 0.5, n_repeats=30, seed=seed).mean() / 2
    assert found["amp"] - found["standard"] >= 0.05
    assert found["asam"] - found["standard"] >= 0.05
