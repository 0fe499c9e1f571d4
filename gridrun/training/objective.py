"""What a training step minimises: L_nat(theta) + beta L_rob(theta, theta*), noise and dropout at will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from .adversarial import ParameterAttack, boundary_gradient, find_perturbation
from .losses import boundary_loss
from .noise import noisy


@dataclass(frozen=True)
class Method:
    """A training method as its ingredients; all zero is the standard training by cross entropy.

    `beta_robustness` weighs the robustness loss under `attack`; `noisy_forward_std` is the relative size of
    the forward noise (in L_nat alone, as in the original); `dropout_prob` with one of `nn.cnn.DROPOUT_KINDS`;
    the robustness term is switched on after `warmup` epochs; `treat_as_constant` takes theta* as independent
    of theta: another update, and a worse one, kept to be compared with.
    """

    beta_robustness: float = 0.0
    attack: ParameterAttack = field(default_factory=ParameterAttack)
    treat_as_constant: bool = False
    noisy_forward_std: float = 0.0
    dropout_prob: float = 0.0
    dropout_kind: str = "shared"
    warmup: int = 0

    def at_epoch(self, epoch: int) -> Method:
        """This method as it stands in that epoch (from 0)."""
        return replace(self, beta_robustness=0.0) if epoch < self.warmup else self


def objective(
    model: nn.Module,
    theta: Mapping[str, Tensor],
    images: Tensor,
    labels: Tensor,
    method: Method,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The loss, differentiable in theta, and the logits (batch, classes) of its natural part.

    One dropout mask serves the natural loss, the clean output and every step of the attack. A step with N
    attack steps costs N + 2 standard steps (and one forward pass more with forward noise).
    """
    masks = model.dropout_masks(method.dropout_prob, len(images), generator, method.dropout_kind)

    def forward(parameters: Mapping[str, Tensor]) -> Tensor:
        return functional_call(model, dict(parameters), (images, masks))

    is_noisy = method.noisy_forward_std != 0
    logits = forward(noisy(theta, method.noisy_forward_std, generator) if is_noisy else theta)
    natural = F.cross_entropy(logits, labels)
    if method.beta_robustness == 0:
        return natural, logits
    clean, attack = forward(theta) if is_noisy else logits, method.attack
    found = find_perturbation(boundary_gradient(forward, clean, labels, attack), theta, attack, generator)
    attacked = found.applied_to(theta)
    if method.treat_as_constant:
        attacked = {name: tensor.detach() for name, tensor in attacked.items()}
    robust = boundary_loss(attack.boundary_loss)(clean, forward(attacked), labels)
    return natural + method.beta_robustness * robust, logits
