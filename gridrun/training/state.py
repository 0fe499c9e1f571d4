"""What training depends on between two steps, and the same as plain tensors and numbers, to be kept anywhere.

Nothing random is in it: noise, dropout and the order of the images come from streams named by seed, purpose and
epoch or step (`seeding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .adversarial import Theta
from .evaluation import parameters_of
from .optimizers import Optimizer, optimizer

CHECKPOINTS = ("final", "best")
NUMBERS: dict[str, type] = {"epoch": int, "step": int, "n_updates": int, "best_accuracy": float}


@dataclass
class State:
    """All that the next step depends on, and the weights of the best epoch on the validation images.

    epoch: epochs that are complete. step: training steps so far. losses, accuracies: those of each batch of the
    epoch that has begun, so as many as the batches it has done.
    """

    theta: Theta
    optimizer: Optimizer
    epoch: int = 0
    step: int = 0
    losses: list[Tensor] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    best_theta: Theta | None = None
    best_accuracy: float = -1.0

    def weights(self, checkpoint: str) -> Theta:
        """Detached weights: "final" as they stand, or "best" on the validation images."""
        if checkpoint not in CHECKPOINTS:
            raise ValueError(f"checkpoint={checkpoint!r}: want one of {', '.join(CHECKPOINTS)}")
        if checkpoint == "best" and self.best_theta is None:
            raise ValueError('checkpoint="best" needs validation images: set validation_fraction above 0')
        chosen = self.best_theta if checkpoint == "best" and self.best_theta is not None else self.theta
        return {name: tensor.detach().clone() for name, tensor in chosen.items()}


def start(model: nn.Module, name: str = "adam", settings: Mapping[str, Any] | None = None) -> State:
    """The state before the first epoch, at the model's own parameters (which training then leaves alone).

    `name` and `settings` are those of the optimiser (see `optimizers`).
    """
    theta = {name: tensor.requires_grad_() for name, tensor in parameters_of(model).items()}
    return State(theta, optimizer(name, theta, settings or {}))


def packed(state: State) -> tuple[dict[str, Tensor], dict[str, float]]:
    """A state as tensors on the CPU, copies of its own, and a few numbers.

    >>> tensors, numbers = packed(start(nn.Linear(2, 1)))
    >>> sorted(tensors)  # doctest: +NORMALIZE_WHITESPACE
    ['accuracies', 'losses', 'mean/bias', 'mean/weight', 'square/bias', 'square/weight',
     'theta/bias', 'theta/weight']
    >>> numbers
    {'epoch': 0, 'step': 0, 'n_updates': 0, 'best_accuracy': -1.0}
    """
    groups = {"theta": state.theta, **state.optimizer.memory, "best": state.best_theta or {}}
    tensors = {f"{group}/{name}": tensor for group, theta in groups.items() for name, tensor in theta.items()}
    tensors["losses"] = torch.stack(state.losses) if state.losses else torch.empty(0)
    tensors["accuracies"] = torch.tensor(state.accuracies, dtype=torch.double)
    numbers = {
        "epoch": state.epoch,
        "step": state.step,
        "n_updates": state.optimizer.n_updates,
        "best_accuracy": state.best_accuracy,
    }
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}, numbers


def restored(like: State, tensors: Mapping[str, Tensor], numbers: Mapping[str, float]) -> State:
    """The state that `packed` took apart, on the device of `like`, a state of the same network.

    The tensors are copied. Raises ValueError, naming what is wrong, for what is not of such a state.
    """
    _check_numbers(numbers)
    groups = ["theta", *like.optimizer.memory] + ["best"] * any(name.startswith("best/") for name in tensors)
    _check_tensors({f"{group}/{name}": v for group in groups for name, v in like.theta.items()}, tensors)

    def group(name: str) -> Theta:
        return {key: tensors[f"{name}/{key}"].to(v.device, copy=True) for key, v in like.theta.items()}

    device = next(iter(like.theta.values())).device
    return State(
        theta={name: tensor.requires_grad_() for name, tensor in group("theta").items()},
        optimizer=like.optimizer.resumed({n: group(n) for n in like.optimizer.memory}, int(numbers["n_updates"])),
        epoch=int(numbers["epoch"]),
        step=int(numbers["step"]),
        losses=list(tensors["losses"].to(device, copy=True).unbind()),
        accuracies=tensors["accuracies"].tolist(),
        best_theta=group("best") if "best" in groups else None,
        best_accuracy=numbers["best_accuracy"],
    )


def _check_numbers(numbers: Mapping[str, float]) -> None:
    _check_names("number", NUMBERS.keys(), numbers.keys())
    for name, kind in NUMBERS.items():
        value = numbers[name]
        if type(value) is not kind or (kind is int and value < 0):
            raise ValueError(f"{name}={value!r}: want {'a count' if kind is int else 'a fraction'}")


def _check_tensors(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    _check_names("tensor", {*wanted, "losses", "accuracies"}, found.keys())
    for name, tensor in wanted.items():
        want, have = _form(tensor), _form(found[name])
        if want != have:
            raise ValueError(f"tensor {name!r} is {have}, the network's is {want}")
    if found["losses"].dim() != 1 or found["losses"].shape != found["accuracies"].shape:
        raise ValueError(f"losses are {_form(found['losses'])}, accuracies {_form(found['accuracies'])}: want as many")


def _check_names(what: str, wanted: Iterable[str], found: Iterable[str]) -> None:
    if missing := sorted({*wanted} - {*found}):
        raise ValueError(f"no {what} {missing[0]!r}")
    if unknown := sorted({*found} - {*wanted}):
        raise ValueError(f"unknown {what} {unknown[0]!r}")


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
