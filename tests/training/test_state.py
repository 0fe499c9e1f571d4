"""A training that is taken apart at any step and put together again ends as one that was left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from gridrun import data
from gridrun.nn.cnn import CNN
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.awp import AWP
from gridrun.training.loop import Schedule, fit
from gridrun.training.objective import Method
from gridrun.training.sam import SAM
from gridrun.training.seeding import generator
from gridrun.training.state import State, packed, restored, start

ATTACK = ParameterAttack(0.2, initial_std_constant=0.01, n_attack_steps=1)
MADRY = ParameterAttack(0.2, n_attack_steps=1, boundary_loss="madry")
METHODS = {
    "standard": Method(),
    "dropout": Method(dropout_prob=0.3),
    "forward noise": Method(noisy_forward_std=0.3),
    "attack": Method(0.25, ATTACK),
    "both": Method(0.25, ATTACK, noisy_forward_std=0.3, dropout_prob=0.3),
    "warmup": Method(0.25, ATTACK, warmup=1),
    "awp": Method(displacement=AWP(MADRY, eps_pga=0.1, nb_iter=1), dropout_prob=0.3, warmup=1),
    "asam": Method(displacement=SAM(0.5, adaptive=True)),
}
RATES = (3e-2, 1e-3, 1e-4)
SCHEDULE = Schedule((1, 1, 1), RATES, batch_size=20)
OPTIMIZERS = {
    "sgd": Schedule((1, 1, 1), RATES, 20, "sgd"),
    "abcd": Schedule((1, 1, 1), RATES, 20, "abcd", {"ascent_rate": 0.05}),
    "esgd": Schedule((1, 1, 1), (0.5, 0.1, 0.1), 20, "esgd", {"n_inner": 2, "gamma_1": 0.1}),
}
N_IMAGES = 70  # three batches an epoch, and ten images left over

Packed = tuple[dict[str, Tensor], dict[str, float]]


def network(channels: int = 2) -> CNN:
    return CNN((1, 8, 8), 10, (channels,), 3, 1, (8,), generator=generator(0, "init"))


def begun(schedule: Schedule = SCHEDULE, device: str = "cpu") -> State:
    return start(network().to(device), schedule.optimizer, schedule.optimizer_settings)


def training(
    method: Method, state: State | None = None, device: str = "cpu", schedule: Schedule = SCHEDULE
) -> list[tuple[dict, Packed]]:
    """The metrics and the state at each step and each end of an epoch."""
    splits = data.load("digits", validation_fraction=0.2).to(device)
    images = splits.train[0][:N_IMAGES], splits.train[1][:N_IMAGES]
    model = network().to(device)
    steps = fit(model, images, splits.validation, method, schedule, 3, state, every_step=True)
    return [(metrics, packed(state)) for _, metrics, state in steps]


def through_text(kept: Packed) -> Packed:
    return kept[0], json.loads(json.dumps(kept[1]))


def assert_same(found: Packed, want: Packed) -> None:
    assert found[1] == want[1]
    assert found[0].keys() == want[0].keys()
    assert [name for name in want[0] if not torch.equal(found[0][name], want[0][name])] == []


every_way = pytest.mark.parametrize(
    ("method", "schedule"),
    [(method, SCHEDULE) for method in METHODS.values()] + [(METHODS["forward noise"], s) for s in OPTIMIZERS.values()],
    ids=[*METHODS, *OPTIMIZERS],
)


@every_way
def test_restored_at_every_step_all_that_follows_is_the_same(method: Method, schedule: Schedule) -> None:
    whole = training(method, schedule=schedule)
    assert len(whole) == 3 * (3 + 1)
    assert "best/dense.0.weight" in whole[-1][1][0]
    for n, (_, kept) in enumerate(whole):
        rest = training(method, restored(begun(schedule), *through_text(kept)), schedule=schedule)
        assert [metrics for metrics, _ in rest] == [metrics for metrics, _ in whole[n + 1 :]]
        for (_, found), (_, want) in zip(rest, whole[n + 1 :], strict=True):
            assert_same(found, want)


@pytest.mark.gpu
@every_way
def test_on_a_gpu_too(method: Method, schedule: Schedule) -> None:
    with torch.backends.cudnn.flags(deterministic=True):
        whole = training(method, None, "cuda", schedule)
        middle = restored(begun(schedule, "cuda"), *whole[5][1])
        assert middle.losses[0].is_cuda
        assert_same(training(method, middle, "cuda", schedule)[-1][1], whole[-1][1])


def test_the_memory_of_each_optimiser_is_in_its_checkpoint() -> None:
    kept = {name: packed(begun(schedule))[0] for name, schedule in OPTIMIZERS.items()}
    groups = {name: {key.split("/")[0] for key in tensors if "/" in key} for name, tensors in kept.items()}
    assert groups == {"sgd": {"theta"}, "abcd": {"theta", "mean", "square"}, "esgd": {"theta", "velocity"}}
    with pytest.raises(ValueError, match="no tensor 'velocity/"):
        restored(begun(OPTIMIZERS["esgd"]), *packed(begun()))


@pytest.mark.parametrize("part", ["theta", "mean", "square", "losses", "accuracies"])
def test_a_part_that_is_not_what_it_was_shows(part: str) -> None:
    whole = training(METHODS["standard"])
    tensors, numbers = whole[5][1]  # two batches into the second epoch
    spoilt = {name: tensor * 0.9 if name.startswith(part) else tensor for name, tensor in tensors.items()}
    rest = training(METHODS["standard"], restored(start(network()), spoilt, numbers))
    assert [metrics for metrics, _ in rest if metrics] != [metrics for metrics, _ in whole[6:] if metrics]


def test_every_step_is_seen_and_the_epochs_are_the_same() -> None:
    splits = data.load("digits")
    seen = [(step, bool(metrics)) for step, metrics, _ in _digits(splits, every_step=True)]
    assert seen == [(1, False), (2, False), (2, True), (3, False), (4, False), (4, True)]
    assert [step for step, _, _ in _digits(splits)] == [2, 4]


def _digits(splits: Any, **options: Any) -> Any:
    train = splits.train[0][:40], splits.train[1][:40]
    return fit(network(), train, None, Method(), Schedule((2,), (1e-3,), batch_size=20), 0, **options)


def test_what_was_packed_and_restored_is_a_copy() -> None:
    state = start(network())
    tensors, numbers = packed(state)
    again = restored(state, tensors, numbers)
    with torch.no_grad():
        for tensor in tensors.values():
            tensor.add_(1)
    assert all(torch.equal(again.theta[name], state.theta[name]) for name in state.theta)
    assert all(tensor.requires_grad for tensor in again.theta.values())


def without(name: str) -> Any:
    return lambda tensors, numbers: (tensors.pop(name, None), numbers.pop(name, None))


def having(**values: Any) -> Any:
    return lambda tensors, numbers: numbers.update(values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("theta/convolutions.0.weight"), "no tensor 'theta/convolutions.0.weight'"),
        (without("losses"), "no tensor 'losses'"),
        (without("best/dense.0.bias"), "no tensor 'best/dense.0.bias'"),
        (without("step"), "no number 'step'"),
        (having(lr=0.1), "unknown number 'lr'"),
        (having(step=-1), "step=-1: want a count"),
        (having(epoch=1.5), "epoch=1.5: want a count"),
        (having(best_accuracy="0.5"), "best_accuracy='0.5': want a fraction"),
        (lambda t, n: t.update({"mean/other": t["losses"]}), "unknown tensor 'mean/other'"),
        (lambda t, n: t.update({"mean/dense.0.bias": torch.zeros(9)}), r"is float32 \[9\], the network's is .*\[8\]"),
        (lambda t, n: t.update({"mean/dense.0.bias": torch.zeros(8).half()}), "is float16.*network's is float32"),
        (lambda t, n: t.update(losses=torch.zeros(9)), r"losses are float32 \[9\], accuracies"),
    ],
)
def test_what_is_not_a_state_is_refused_by_name(spoil: Any, message: str) -> None:
    tensors, numbers = training(METHODS["standard"])[4][1]
    spoil(tensors, numbers)
    with pytest.raises(ValueError, match=message):
        restored(start(network()), tensors, numbers)


def test_the_state_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="the network's is float32"):
        restored(start(network(channels=3)), *packed(start(network())))
