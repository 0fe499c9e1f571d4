"""What an attack costs: N steps make a training step N + 2 times as long, and 1.3 times that is the bound."""

from __future__ import annotations

import time

import pytest
import torch

from gridrun.nn.cnn import CNN
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.loop import start
from gridrun.training.objective import Method, objective
from gridrun.training.seeding import generator


def cpu_seconds_of_a_step(method: Method, n_steps: int = 10) -> float:
    """The least of five measurements, in processor time, so that other programs matter little."""
    model = CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64))
    images, labels = torch.randn(100, 1, 8, 8, generator=generator(0)), torch.arange(100) % 10
    state, times = start(model), []
    for _ in range(5):
        begin = time.process_time()
        for step in range(n_steps):
            loss, _ = objective(model, state.theta, images, labels, method, generator(0, step))
            state.optimizer.update(state.theta, torch.autograd.grad(loss, list(state.theta.values())), 1e-3)
        times.append((time.process_time() - begin) / n_steps)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("n_attack_steps", [1, 3, 10])
def test_a_step_with_an_attack_of_n_steps_costs_at_most_1_3_times_n_plus_2_standard_steps(n_attack_steps: int) -> None:
    torch.set_num_threads(1)
    robust = Method(0.25, ParameterAttack(n_attack_steps=n_attack_steps))
    ratio = cpu_seconds_of_a_step(robust) / cpu_seconds_of_a_step(Method())
    assert ratio <= 1.3 * (n_attack_steps + 2)
