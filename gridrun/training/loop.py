"""The one training loop: a generator that yields (step, metrics, state) after every epoch, or every step.

Randomness comes from streams named by seed, purpose and epoch or step (`seeding`), so the state holds no
random generator, and a run continued from any yielded state ends in the same weights and metrics, bit for bit,
as one never interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from ..nn.batch_norm import settle
from .clipping import clip_weights
from .evaluation import accuracy, logits_at
from .objective import Method, objective
from .optimizers import optimizer
from .seeding import generator
from .state import State, start

Images = tuple[Tensor, Tensor]  # images (n, channels, height, width) and labels (n,)


@dataclass(frozen=True)
class Schedule:
    """Epochs and the learning rate in each stretch of them, piecewise constant.

    >>> Schedule(n_epochs=(3, 1), learning_rate=(1e-3, 1e-4)).rates()
    [0.001, 0.001, 0.001, 0.0001]
    """

    n_epochs: Sequence[int]
    learning_rate: Sequence[float]
    batch_size: int = 100
    optimizer: str = "adam"
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.n_epochs) != len(self.learning_rate):
            raise ValueError(f"n_epochs {list(self.n_epochs)}, learning_rate {list(self.learning_rate)}: want as many")
        optimizer(self.optimizer, {}, self.optimizer_settings)  # refused here, if it cannot be

    def rates(self) -> list[float]:
        """The learning rate of each epoch."""
        return [rate for n, rate in zip(self.n_epochs, self.learning_rate, strict=True) for _ in range(n)]


def fit(
    model: nn.Module,
    train: Images,
    validation: Images | None,
    method: Method,
    schedule: Schedule,
    seed: int,
    state: State | None = None,
    every_step: bool = False,
) -> Iterator[tuple[int, dict[str, float], State]]:
    """Train, yielding after each epoch the number of steps so far, the epoch's metrics, and the state
    (changed in place).

    Metrics: epoch, learning_rate, loss and training_accuracy (means over the epoch's batches), and
    validation_accuracy where there are validation images. `every_step` yields after each training step too,
    with no metrics; after the last step of an epoch that is before the epoch is judged.
    """
    state = state if state is not None else start(model, schedule.optimizer, schedule.optimizer_settings)
    for epoch, rate in list(enumerate(schedule.rates()))[state.epoch :]:
        for _ in _steps(model, train, method.at_epoch(epoch), schedule.batch_size, rate, seed, state):
            if every_step:
                yield state.step, {}, state
        metrics = {"epoch": epoch + 1, "learning_rate": rate, **_end_epoch(state)}
        if validation is not None:
            settle(model, state.theta, train[0])
            metrics["validation_accuracy"] = _validate(model, validation, state)
        yield state.step, metrics, state


def batches(n_images: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Indices of each batch of an epoch: a fresh permutation, the incomplete last batch left out (unless it
    is the only).

    >>> [len(b) for b in batches(1257, 100, seed=0, epoch=0)] == [100] * 12
    True
    """
    order = torch.randperm(n_images, generator=generator(seed, "order", epoch))
    size = min(batch_size, n_images)
    return iter(order[: n_images // size * size].split(size))


def _steps(
    model: nn.Module, train: Images, method: Method, batch_size: int, rate: float, seed: int, state: State
) -> Iterator[None]:
    """Do the steps of an epoch that the state has not done yet."""
    images, labels = train
    model.train()
    for index in islice(batches(len(images), batch_size, seed, state.epoch), len(state.losses), None):
        x, y = images[index], labels[index]
        _step(model, x, y, method, rate, generator(seed, "step", state.step), state)
        yield


def _step(
    model: nn.Module, x: Tensor, y: Tensor, method: Method, rate: float, stream: torch.Generator, state: State
) -> None:
    """One step of the optimiser, which may ask for several gradients; the first one's loss is the step's."""
    seen: list[tuple[Tensor, Tensor]] = []

    def gradient(theta: Mapping[str, Tensor]) -> Sequence[Tensor]:
        with torch.enable_grad():
            loss, logits = objective(model, theta, x, y, method, stream)
            seen.append((loss.detach(), logits.detach()))
            return torch.autograd.grad(loss, list(theta.values()))

    state.optimizer.step(state.theta, gradient, rate, stream)
    if method.clipping_alpha:
        clip_weights(state.theta, method.clipping_alpha)
    loss, logits = seen[0]
    state.step += 1
    state.losses.append(loss)
    state.accuracies.append(accuracy(logits, y))


def _end_epoch(state: State) -> dict[str, float]:
    losses, accuracies = state.losses, state.accuracies
    state.losses, state.accuracies, state.epoch = [], [], state.epoch + 1
    return {"loss": torch.stack(losses).mean().item(), "training_accuracy": sum(accuracies) / len(accuracies)}


def _validate(model: nn.Module, validation: Images, state: State) -> float:
    found = accuracy(logits_at(model, state.theta, validation[0]), validation[1])
    if found > state.best_accuracy:
        state.best_accuracy = found
        state.best_theta = {name: tensor.detach().clone() for name, tensor in state.theta.items()}
    return found
