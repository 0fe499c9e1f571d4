"""What a parameter attack costs: a training step with N attack steps against N + 2 standard steps.

    python -m benchmarks.attack_cost

N forward-backward passes climb, two descend (the natural loss and the robustness loss), so N + 2 is the floor.
"""

from __future__ import annotations

import time

import torch

from gridrun.nn.cnn import CNN
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.loop import start
from gridrun.training.objective import Method, objective
from gridrun.training.seeding import generator

ATTACK_STEPS = (1, 3, 5, 10)


def cpu_seconds_of_a_step(method: Method, n_steps: int = 10, n_repeats: int = 5) -> float:
    """The least of several measurements, in processor time, so that other programs matter little."""
    model = CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64))
    images, labels = torch.randn(100, 1, 8, 8, generator=generator(0)), torch.arange(100) % 10
    state, times = start(model), []
    for _ in range(n_repeats):
        begin = time.process_time()
        for step in range(n_steps):
            loss, _ = objective(model, state.theta, images, labels, method, generator(0, step))
            state.optimizer.update(state.theta, torch.autograd.grad(loss, list(state.theta.values())), 1e-3)
        times.append((time.process_time() - begin) / n_steps)
    return min(times)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    standard = cpu_seconds_of_a_step(Method())
    print("| attack steps N | standard steps that one step costs | over the floor N + 2 |\n|---|---|---|")
    for n in ATTACK_STEPS:
        ratio = cpu_seconds_of_a_step(Method(0.25, ParameterAttack(n_attack_steps=n))) / standard
        print(f"| {n} | {ratio:.1f} | {ratio / (n + 2):.2f} |")


if __name__ == "__main__":
    main()
