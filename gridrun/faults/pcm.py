"""A network whose weights are on phase-change memory (see `pcm_devices`), and the compensation of its drift.

Global drift compensation multiplies a layer's outputs by the current of all its devices at 25 s over their current at
time t, each read at the same voltage: a sum of conductances (Le Gallo and others, Advanced Electronic Materials 4,
1700627, 2018; Joshi and others, Nature Communications 11, 2473, 2020). IBM's analog hardware acceleration kit sums
|G+ - G-| instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..training.adversarial import Theta
from ..training.evaluation import accuracy, judging, logits_at, perturbed_of
from ..training.seeding import generator
from .pcm_devices import FIRST_READ_S, Devices, program, read, weights_of


def compensation(first: Tensor, now: Tensor) -> float:
    """The factor of a layer's outputs: the sum of its conductances at the first read over that of this one.

    >>> compensation(torch.tensor([[20.0], [4.0]]), torch.tensor([[15.0], [1.0]]))
    1.5
    """
    current = now.double().sum().item()
    return first.double().sum().item() / current if current > 0 else 1.0


def read_weights(
    weights: Mapping[str, Tensor], seconds: float, repeat: int, seed: int = 0, is_compensated: bool = True
) -> Theta:
    """Tensors of weights as they are read `seconds` after they were programmed for the `repeat`-th time.

    A repeat's devices are the same at all times and compensated or not; each time has its own read noise. Compensation
    is by the read at 25 s, so that it changes nothing at 25 s.
    """
    draw = generator(seed, "pcm", repeat)
    devices = {name: program(tensor, draw) for name, tensor in weights.items()}
    now = _reads(devices, seconds, repeat, seed)
    found = {name: weights_of(devices[name], now[name]) for name in weights}
    if not is_compensated:
        return found
    first = _reads(devices, FIRST_READ_S, repeat, seed)
    return {name: tensor * compensation(first[name], now[name]) for name, tensor in found.items()}


def _reads(devices: Mapping[str, Devices], seconds: float, repeat: int, seed: int) -> Theta:
    draw = generator(seed, "pcm read", repeat, str(float(seconds)))
    return {name: read(array, seconds, draw) for name, array in devices.items()}


@torch.no_grad()
@judging
def accuracy_on_pcm(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    seconds: float,
    n_repeats: int = 10,
    seed: int = 0,
    is_compensated: bool = True,
) -> np.ndarray:
    """Accuracy in 0..1 of each of `n_repeats` programmings, shape (n_repeats,), `seconds` (25 or more) after them.

    On devices are the parameters of two dimensions or more that noise may move (see `evaluation.perturbed_of`), read
    once for all images. Biases and batch normalisation are digital, and so is the factor of the compensation, one a
    tensor. There are no converters: inputs and outputs of a layer keep all their bits.
    """
    if n_repeats < 0:
        raise ValueError(f"n_repeats={n_repeats!r}: want 0 or more")
    weights = {name: tensor for name, tensor in perturbed_of(model).items() if tensor.dim() > 1}
    found = (read_weights(weights, seconds, i, seed, is_compensated) for i in range(n_repeats))
    return np.array([accuracy(logits_at(model, theta, images), labels) for theta in found])
