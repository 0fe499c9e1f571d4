"""SGD, ABCD and Entropy-SGD against references in NumPy, and what one step of them does by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from gridrun import data
from gridrun.nn.cnn import CNN
from gridrun.training.loop import Schedule, fit
from gridrun.training.objective import Method
from gridrun.training.optimizers import OPTIMIZERS, Optimizer, optimizer
from gridrun.training.seeding import generator

CURVATURE = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 1.0]], dtype=torch.double)
START = [1.0, -2.0, 0.5]
Slope = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]


def theta_at_start() -> dict[str, Tensor]:
    """Three parameters, in two tensors."""
    return {"w": torch.tensor(START[:2], dtype=torch.double), "b": torch.tensor(START[2:], dtype=torch.double)}


def bowl(theta: Mapping[str, Tensor]) -> list[Tensor]:
    """The gradient of x C x / 2."""
    g = CURVATURE @ torch.cat([theta["w"], theta["b"]])
    return [g[:2], g[2:]]


def after(name: str, n_steps: int, rate: float, gradient: Slope = bowl, **settings: float) -> np.ndarray:
    """Where an optimiser is after some steps, each with a generator of its own."""
    theta = theta_at_start()
    chosen = optimizer(name, theta, settings)
    for step in range(n_steps):
        chosen.step(theta, gradient, rate, generator(0, step))
    return torch.cat([theta["w"], theta["b"]]).numpy()


def test_sgd_is_torchs_sgd() -> None:
    x = torch.tensor(START, dtype=torch.double, requires_grad=True)
    reference = torch.optim.SGD([x], lr=0.1)
    for _ in range(5):
        x.grad = CURVATURE @ x.detach()
        reference.step()
    assert after("sgd", 5, 0.1) == pytest.approx(x.detach().numpy(), abs=1e-14)


def halves(stream: torch.Generator) -> np.ndarray:
    """ABCD's next draw: which parameters go up."""
    return np.concatenate([(torch.rand(n, generator=stream) < 0.5).double().numpy() for n in (2, 1)])


def test_abcd_as_the_paper_defines_it_with_adams_descent() -> None:
    """w_A up along the gradient at w, then w_B down along the gradient where that leads; L times a batch."""
    c, x = CURVATURE.numpy(), np.array(START)
    mean, square, count = np.zeros(3), np.zeros(3), 0
    for step in range(4):
        stream = generator(0, step)
        for _ in range(3):
            up = halves(stream)
            x = x + 0.05 * up * (c @ x)
            g = (1 - up) * (c @ x)
            count += 1
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
            x = x - 0.01 * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
    assert after("abcd", 4, 0.01, n_inner=3, ascent_rate=0.05) == pytest.approx(x, abs=1e-12)


def test_the_first_round_of_abcd_by_hand() -> None:
    """Half A goes up by its rate times the gradient, and half B down by the learning rate, Adam's first step."""
    up, g = halves(generator(0, 0)), CURVATURE.numpy() @ np.array(START)
    assert 0 < up.sum() < 3
    moved = after("abcd", 1, 0.01, n_inner=1, ascent_rate=0.001) - START
    assert moved[up == 1] == pytest.approx(0.001 * g[up == 1], abs=1e-12)
    assert moved[up == 0] == pytest.approx(-0.01 * np.sign(g[up == 0]), abs=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_entropy_sgd_step_by_step(momentum: float) -> None:
    """Algorithm 1 of the paper (mean <- (1 - alpha) mean + alpha x), its spring growing; Nesterov's momentum."""
    c, x, velocity, alpha = CURVATURE.numpy(), np.array(START), np.zeros(3), 0.4
    for step in range(4):
        stream, gamma = generator(0, step), 0.3 * (1 + 0.1) ** step
        walker, mean, inner = x.copy(), x.copy(), np.zeros(3)
        for _ in range(5):
            noise = np.concatenate([torch.randn(n, generator=stream, dtype=torch.double).numpy() for n in (2, 1)])
            inner = momentum * inner + c @ walker
            drift = c @ walker + momentum * inner - gamma * (x - walker)
            walker = walker - 0.02 * drift + np.sqrt(0.02) * 0.1 * noise
            mean = (1 - alpha) * mean + alpha * walker
        velocity = momentum * velocity + (x - mean)
        x = x - 0.5 * ((x - mean) + momentum * velocity)
    settings = {"gamma_0": 0.3, "gamma_1": 0.1, "eta": 0.02, "decay": 1 - alpha, "noise": 0.1, "momentum": momentum}
    assert after("esgd", 4, 0.5, n_inner=5, **settings) == pytest.approx(x, abs=1e-12)


def test_entropy_sgd_on_a_plain_stays_where_it_is_without_noise() -> None:
    def flat(theta: Mapping[str, Tensor]) -> list[Tensor]:
        return [torch.zeros_like(tensor) for tensor in theta.values()]

    assert after("esgd", 3, 0.5, flat, noise=0.0).tolist() == START
    assert after("esgd", 3, 0.5, flat, noise=0.1).tolist() != START


@pytest.mark.parametrize(("name", "n_gradients"), [("adam", 1), ("sgd", 1), ("abcd", 6), ("esgd", 7)])
def test_gradients_a_step(name: str, n_gradients: int) -> None:
    calls = []

    def counted(theta: Mapping[str, Tensor]) -> list[Tensor]:
        calls.append(1)
        return bowl(theta)

    after(name, 1, 0.1, counted, **{"abcd": {"n_inner": 3}, "esgd": {"n_inner": 7}}.get(name, {}))
    assert len(calls) == n_gradients


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_that_was_taken_apart_goes_on_as_one_left_alone(name: str) -> None:
    def step(chosen: Optimizer, theta: dict[str, Tensor], seed: int) -> None:
        chosen.step(theta, bowl, 0.1, generator(seed))

    theta = theta_at_start()
    whole = optimizer(name, theta, {})
    step(whole, theta, 0)
    other = {key: tensor.clone() for key, tensor in theta.items()}
    memory = {group: {k: v.clone() for k, v in tensors.items()} for group, tensors in whole.memory.items()}
    again = optimizer(name, other, {}).resumed(memory, whole.n_updates)
    step(whole, theta, 1)
    step(again, other, 1)
    assert all(torch.equal(theta[key], other[key]) for key in theta)
    assert again.n_updates == whole.n_updates


@pytest.mark.parametrize(("name", "rate", "n_epochs"), [("abcd", 3e-3, 15), ("esgd", 0.1, 8)])
def test_a_network_learns(name: str, rate: float, n_epochs: int) -> None:
    splits = data.load("digits")
    train = splits.train[0][:400], splits.train[1][:400]
    model = CNN((1, 8, 8), 10, (4,), 3, 1, (16,), generator=generator(0, "init"))
    *_, (_, metrics, state) = fit(model, train, None, Method(), Schedule((n_epochs,), (rate,), 50, name), 0)
    assert metrics["training_accuracy"] > 0.8
    assert state.step == n_epochs * 8


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="abcd_L=0: want a number above 0"):
        optimizer("abcd", theta_at_start(), {"n_inner": 0})
    with pytest.raises(ValueError, match="no optimizer 'adamw'; there are adam, sgd, esgd, abcd"):
        optimizer("adamw", theta_at_start(), {})
