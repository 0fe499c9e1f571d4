"""The attack on parameters: small relative changes of every weight that move the network's outputs the most.

Buechel, Faber, Muir, "Network insensitivity to parameter noise via adversarial regularization" (ICLR 2022).
From

    theta*_0 = theta + |theta| e_m R1 + e_c R2           R1, R2 ~ N(0, 1)

N steps of size alpha = (zeta_a |theta| + c) / N follow the sign (p_norm "inf") or the direction (p_norm "2",
normalised per tensor) of g = d L_rob / d theta*. The one `find_perturbation` below serves training and
evaluation.

What an attack finds is kept as two detached tensors a parameter, (relative, constant), so that

    theta* = theta + |theta| relative + constant,        relative = e_m R1 + zeta_a / N * (sum of signs), ...

is one differentiable expression of theta. For p_norm "inf" its gradient is exactly that of all N steps
unrolled (the derivative of a sign is zero), at a memory that does not grow with N. For p_norm "2" the
directions are held constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .losses import boundary_loss

Theta = dict[str, Tensor]
Forward = Callable[[Mapping[str, Tensor]], Tensor]
Gradient = Callable[[Theta], Theta]
GradientList = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]  # gradients in the order of the keys
SIZES = ("attack_size_mismatch", "attack_size_constant", "initial_std_mismatch", "initial_std_constant")


@dataclass(frozen=True)
class ParameterAttack:
    """Sizes of the attack. Sizes and standard deviations named mismatch are relative to |theta|, the others
    absolute.

    `clamp` keeps theta* within zeta_a |theta| + c of theta after each step, as the paper writes it; the
    authors' code, and so the default, does not (then the random start comes on top).
    """

    attack_size_mismatch: float = 0.1
    attack_size_constant: float = 0.0
    initial_std_mismatch: float = 0.001
    initial_std_constant: float = 0.0
    n_attack_steps: int = 10
    boundary_loss: str = "kl"
    p_norm: str = "inf"
    clamp: bool = False

    def __post_init__(self) -> None:
        boundary_loss(self.boundary_loss)
        if self.p_norm not in STEPS:
            raise ValueError(f"p_norm={self.p_norm!r}: want one of {', '.join(map(repr, STEPS))}")
        if self.n_attack_steps < 0:
            raise ValueError(f"n_attack_steps={self.n_attack_steps}: want 0 or more")
        for name in SIZES:
            if not 0 <= (size := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name}={size!r}: want a number, 0 or more")


@dataclass(frozen=True)
class Perturbation:
    """What an attack found: theta* = theta + |theta| relative + constant, with both held constant."""

    relative: Theta
    constant: Theta

    def applied_to(self, theta: Mapping[str, Tensor]) -> Theta:
        """theta*, differentiable in theta.

        >>> found = Perturbation({"w": torch.tensor([0.1])}, {"w": torch.tensor([0.5])})
        >>> found.applied_to({"w": torch.tensor([-2.0])})["w"].item()  # -2 + 2 * 0.1 + 0.5
        -1.2999999523162842
        """
        return {k: torch.addcmul(v, v.abs(), self.relative[k]) + self.constant[k] for k, v in theta.items()}


def _unit(gradient: Tensor) -> Tensor:
    return gradient / torch.linalg.vector_norm(gradient).clamp(min=torch.finfo(gradient.dtype).tiny)


STEPS: dict[str, Callable[[Tensor], Tensor]] = {"inf": torch.sign, "2": _unit}


def find_perturbation(
    gradient: Gradient, theta: Mapping[str, Tensor], attack: ParameterAttack, generator: torch.Generator
) -> Perturbation:
    """Run the attack at `theta`; `gradient` maps theta* to d L_rob / d theta* (see `boundary_gradient`)."""
    for reached in attack_steps(gradient, theta, attack, generator):
        found = reached
    return found


def attack_steps(
    gradient: Gradient, theta: Mapping[str, Tensor], attack: ParameterAttack, generator: torch.Generator
) -> Iterator[Perturbation]:
    """The attack's random start, then what it has found after each of its steps: n_attack_steps + 1 perturbations."""
    theta = {name: tensor.detach() for name, tensor in theta.items()}
    direction, n = STEPS[str(attack.p_norm)], max(attack.n_attack_steps, 1)
    yield (found := _random_start(theta, attack, generator))
    for _ in range(attack.n_attack_steps):
        step = {name: direction(g) for name, g in gradient(found.applied_to(theta)).items()}
        found = Perturbation(
            {k: torch.add(v, step[k], alpha=attack.attack_size_mismatch / n) for k, v in found.relative.items()},
            {k: torch.add(v, step[k], alpha=attack.attack_size_constant / n) for k, v in found.constant.items()},
        )
        found = _clamped(found, theta, attack) if attack.clamp else found
        yield found


def boundary_gradient(forward: Forward, clean_logits: Tensor, labels: Tensor, attack: ParameterAttack) -> Gradient:
    """theta* -> d L_rob / d theta* on one batch; `forward` maps parameters to that batch's logits."""
    loss_of, clean = boundary_loss(attack.boundary_loss), clean_logits.detach()

    def gradient(theta: Theta) -> Theta:
        with torch.enable_grad():
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in theta.items()}
            loss = loss_of(clean, forward(leaves), labels)
            return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    return gradient


def mean_gradient(parts: Sequence[Gradient], weights: Sequence[float]) -> Gradient:
    """The weighted mean of several batches' gradients, for an attack on more images than fit in memory."""

    def gradient(theta: Theta) -> Theta:
        total = {name: torch.zeros_like(tensor) for name, tensor in theta.items()}
        for part, weight in zip(parts, weights, strict=True):
            for name, g in part(theta).items():
                total[name].add_(g, alpha=weight / sum(weights))
        return total

    return gradient


def _random_start(theta: Mapping[str, Tensor], attack: ParameterAttack, generator: torch.Generator) -> Perturbation:
    stds = (attack.initial_std_mismatch, attack.initial_std_constant)
    relative, constant = ({k: normal_like(v, std, generator) for k, v in theta.items()} for std in stds)
    return Perturbation(relative, constant)


def normal_like(tensor: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """N(0, std^2) of the tensor's shape, type and device; nothing is drawn for std 0."""
    if std == 0:
        return torch.zeros_like(tensor)
    return torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype).to(tensor.device).mul_(std)


def _clamped(found: Perturbation, theta: Mapping[str, Tensor], attack: ParameterAttack) -> Perturbation:
    """Back to the ball: where the change exceeds zeta_a |theta| + c, exactly that, with its sign."""
    relative, constant = dict(found.relative), dict(found.constant)
    for name, tensor in theta.items():
        change = tensor.abs() * relative[name] + constant[name]
        outside = change.abs() > attack.attack_size_mismatch * tensor.abs() + attack.attack_size_constant
        side = change.sign()
        relative[name] = torch.where(outside, side * attack.attack_size_mismatch, relative[name])
        constant[name] = torch.where(outside, side * attack.attack_size_constant, constant[name])
    return Perturbation(relative, constant)
