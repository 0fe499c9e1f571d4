"""What a parameter attack costs: a training step with N attack steps against N + 2 standard steps; other methods too.

    python -m benchmarks.attack_cost                  # the CNN for digits: a minute
    python -m benchmarks.attack_cost cnn ecg_lsnn     # the paper's CNN and its LSNN: several minutes

N forward-backward passes climb, two descend (the natural loss and the robustness loss), so N + 2 is the floor.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from gridrun.nn.cnn import CNN
from gridrun.nn.lsnn import LSNN
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.amp import AMP
from gridrun.training.awp import AWP
from gridrun.training.loop import Schedule, fit
from gridrun.training.objective import Method
from gridrun.training.sam import SAM
from gridrun.training.seeding import generator

ATTACK_STEPS = (1, 3, 5, 10)
ROUNDS = 5
NETWORKS: dict[
    str, tuple[Callable[[], nn.Module], tuple[int, ...], int]
] = {  # network, one sample, steps a measurement
    "digits_cnn": (lambda: CNN((1, 8, 8), 10, (16, 32), 3, 1, (128, 64)), (1, 8, 8), 20),
    "cnn": (lambda: CNN((1, 28, 28), 10, (64, 64), 4, ((2, 1), (0, 0)), (256, 64)), (1, 28, 28), 4),
    "ecg_lsnn": (lambda: LSNN((100, 2), 4), (100, 2), 4),
}
ATTACKS = {
    f"beta, N = {n}": (Method(0.25, ParameterAttack(n_attack_steps=n)), Schedule([1], [1e-3]), n + 2)
    for n in ATTACK_STEPS
}
MADRY = ParameterAttack(n_attack_steps=10, boundary_loss="madry")
OTHERS = {  # method, schedule, standard steps that it needs at least
    "AWP, N = 10": (Method(displacement=AWP(MADRY)), Schedule([1], [1e-3]), 11),
    "AWP, N = 10, inputs attacked in 3 steps": (
        Method(displacement=AWP(MADRY, eps_pga=0.1)),
        Schedule([1], [1e-3]),
        14,
    ),
    "AMP": (Method(displacement=AMP(0.5)), Schedule([1], [1e-3]), 2),
    "SAM": (Method(displacement=SAM()), Schedule([1], [1e-3]), 2),
    "forward noise": (Method(noisy_forward_std=0.3), Schedule([1], [1e-3]), 1),
    "ABCD, 2 rounds": (Method(), Schedule([1], [1e-3], optimizer="abcd"), 4),
    "Entropy-SGD, 10 steps": (Method(), Schedule([1], [0.1], optimizer="esgd"), 10),
}
Way = tuple[Method, Schedule, int]
STANDARD: Way = (Method(), Schedule([1], [1e-3]), 1)


def seconds_of_a_step(name: str, way: Way) -> float:
    """Processor time of one training step at batches of 100, so that other programs matter little."""
    make, sample, n_steps = NETWORKS[name]
    train = _data(sample, 100 * n_steps)
    begin = time.process_time()
    for _ in fit(make(), train, None, way[0], way[1], seed=0):
        pass
    return (time.process_time() - begin) / n_steps


def _data(sample: tuple[int, ...], n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, *sample, generator=generator(0)), torch.arange(n) % 4


def ratios(name: str, ways: Iterable[Way]) -> tuple[float, list[float]]:
    """Seconds of a standard step, and each way's cost in such steps: medians of several rounds, each of which measures
    all in turn, since a machine's speed changes from one minute to the next."""
    rounds = [[seconds_of_a_step(name, way) for way in (STANDARD, *ways)] for _ in range(ROUNDS)]
    costs = [[seconds / standard for seconds in others] for standard, *others in rounds]
    return statistics.median(each[0] for each in rounds), [statistics.median(of) for of in zip(*costs, strict=True)]


def table(name: str) -> None:
    """Print the table of one network."""
    ways = {**ATTACKS, **OTHERS}
    standard, found = ratios(name, ways.values())
    print(f"\n{name}: a standard step takes {1000 * standard:.1f} ms\n")
    print("| method | standard steps that one step costs | over the floor |\n|---|---|---|")
    for (way, (_, _, floor)), ratio in zip(ways.items(), found, strict=True):
        print(f"| {way} | {ratio:.1f} | {ratio / floor:.2f} |", flush=True)


def main(names: list[str]) -> None:
    """Print the tables of these networks."""
    torch.set_num_threads(1)
    for name in names or ["digits_cnn"]:
        table(name)


if __name__ == "__main__":
    main(sys.argv[1:])
