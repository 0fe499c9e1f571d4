"""Pairs of phase-change memory (PCM) devices: programmed with an error, drifting ever since, noisy at each read.

A weight is the difference of two conductances, G+ and G-, of which the one of its sign is programmed to g times 25 uS,
with g = |weight| / (largest magnitude of its tensor), and the other to 0. With n ~ N(0, 1) for each device,

    programmed   max(G_T + sigma n, 0)             sigma = max(-1.1731 g^2 + 1.9650 g + 0.2635, 0) uS
    drifted      G_P (t / 25 s)^-nu                nu drawn once, when the device is programmed:
                 nu = |mu + s n|                   mu = clip(-0.0155 ln g + 0.0244, 0.049, 0.1)
                                                   s = clip(-0.0125 ln g - 0.0059, 0.008, 0.045)
    read         max(G_D (1 + r n), 0)             r = Q sqrt(ln((t + t_r) / t_r)), Q = min(0.0088 / g^0.65, 0.2)

where g is the device's target G_T / 25 uS in each formula, t the time since programming and t_r = 250 ns.

A million devices were measured by Joshi and others, "Accurate deep neural network inference using computational
phase-change memory" (Nature Communications 11, 2473, 2020). The fits of sigma, nu and Q are those of Nandakumar and
others (ICECS 2019) as IBM's analog hardware acceleration kit publishes them (github.com/IBM/aihwkit,
docs/source/pcm_inference.rst). The kit has ln((t + t_r) / (2 t_r)): its r is 2 % smaller at 25 s and 1 % after a year.
Its code begins at 20 s and takes Q at the programmed conductance. Here both are as for the ResNet32 of Buechel, Faber,
Muir (ICLR 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..training.adversarial import normal_like

LARGEST_US = 25.0  # conductance of a tensor's largest weight
FIRST_READ_S = 25.0  # after programming: drift is counted from here
READ_S = 250e-9  # width of a read pulse


@dataclass(frozen=True)
class Devices:
    """The devices of one tensor of weights after programming, each field (2, *shape of the weights): G+, then G-.

    target, programmed: conductances in uS. exponent: nu >= 0. weight_of_us: the weight that one uS stands for.
    """

    target: Tensor
    programmed: Tensor
    exponent: Tensor
    weight_of_us: float


def targets(weights: Tensor) -> Tensor:
    """Conductances in uS to be programmed, (2, *shape): the magnitude on the device of its sign, 0 on the other.

    >>> targets(torch.tensor([1.0, -2.0, 0.0])).tolist()
    [[12.5, 0.0, 0.0], [0.0, 25.0, 0.0]]
    """
    if not torch.isfinite(weights).all():
        raise ValueError("weights to be programmed have NaN or infinity among them")
    largest = weights.abs().max()
    g = torch.where(largest > 0, weights / largest, 0.0)
    return LARGEST_US * torch.stack([g, -g]).clamp(min=0).abs()


def programming_std(target: Tensor) -> Tensor:
    """Standard deviation of the programmed conductance in uS, of the target in uS.

    >>> [round(std, 4) for std in programming_std(torch.tensor([0.0, 12.5, 25.0])).tolist()]
    [0.2635, 0.9527, 1.0554]
    """
    g = target / LARGEST_US
    return (-1.1731 * g**2 + 1.9650 * g + 0.2635).clamp(min=0)


def exponent_mean_std(target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the drift exponent over devices of a target in uS.

    >>> [[round(value, 4) for value in values.tolist()] for values in exponent_mean_std(torch.tensor([0.0, 25.0]))]
    [[0.1, 0.049], [0.045, 0.008]]
    """
    log_g = (target / LARGEST_US).log()
    return (-0.0155 * log_g + 0.0244).clamp(0.049, 0.1), (-0.0125 * log_g - 0.0059).clamp(0.008, 0.045)


def read_noise(target: Tensor, seconds: float) -> Tensor:
    """Standard deviation of one read over the conductance itself, of the target in uS, `seconds` after programming.

    >>> [round(std, 4) for std in read_noise(torch.tensor([0.0, 25.0]), 25.0).tolist()]  # sqrt(ln(10^8 + 1)) Q
    [0.8584, 0.0378]
    """
    quality = (0.0088 / (target / LARGEST_US) ** 0.65).clamp(max=0.2)
    return quality * math.sqrt(math.log((seconds + READ_S) / READ_S))


def program(weights: Tensor, draw: torch.Generator) -> Devices:
    """The devices of a tensor of weights, programmed once: their conductances and their drift exponents are drawn."""
    target = targets(weights.detach())
    programmed = target + programming_std(target) * normal_like(target, 1.0, draw)
    mean, std = exponent_mean_std(target)
    exponent = (mean + std * normal_like(target, 1.0, draw)).abs()
    return Devices(target, programmed.clamp(min=0), exponent, weights.abs().max().item() / LARGEST_US)


def drifted(devices: Devices, seconds: float) -> Tensor:
    """Conductances in uS, (2, *shape), `seconds` after programming; ValueError for less than 25 s."""
    if not FIRST_READ_S <= seconds < math.inf:
        raise ValueError(f"{seconds!r} s after programming: the model of drift begins with the first read, at 25 s")
    return devices.programmed * (seconds / FIRST_READ_S) ** -devices.exponent


def read(devices: Devices, seconds: float, draw: torch.Generator) -> Tensor:
    """Conductances in uS, (2, *shape), as one read finds them."""
    conductances = drifted(devices, seconds)
    noise = read_noise(devices.target, seconds) * normal_like(conductances, 1.0, draw)
    return (conductances * (1 + noise)).clamp(min=0)


def weights_of(devices: Devices, conductances: Tensor) -> Tensor:
    """The weights that conductances (2, *shape) in uS stand for."""
    return (conductances[0] - conductances[1]) * devices.weight_of_us
