"""What a training step minimises: L_nat(theta) + beta L_rob(theta, theta*), noise and dropout at will.

L_nat is taken at theta, at parameters with forward noise, or where AWP, AMP or SAM move them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from .adversarial import ParameterAttack, boundary_gradient, find_perturbation
from .batch import Batch
from .displacement import Displacement
from .evaluation import parted, spared_by
from .losses import boundary_loss
from .noise import check_scale, noisy


@dataclass(frozen=True)
class Method:
    """A training method as its ingredients; all zero is the standard training by cross entropy.

    `beta_robustness` weighs the robustness loss under `attack`; `noisy_forward_std` is the relative size of
    the forward noise (in L_nat alone, as in the original); `dropout_prob` with one of `nn.cnn.DROPOUT_KINDS`;
    `treat_as_constant` takes theta* as independent of theta: another update, and a worse one, kept to be
    compared with. `displacement` (AWP, AMP or SAM) moves the parameters at which L_nat is taken, and forward noise
    comes on top; it takes the place of the robustness loss. The robustness term and the displacement are switched
    on after `warmup` epochs. `reg` weighs the firing-rate term, for networks that have one. `noise_scale`: what the
    forward noise is relative to, one of `noise.SCALES`. `clipping_alpha` clips each layer's weights to so many standard
    deviations around their mean after every step (see `clipping`); 0 does not.

    Neither noise nor an attack moves the parameters that the network names in `spared`, if it has that.
    """

    beta_robustness: float = 0.0
    attack: ParameterAttack = field(default_factory=ParameterAttack)
    treat_as_constant: bool = False
    noisy_forward_std: float = 0.0
    dropout_prob: float = 0.0
    dropout_kind: str = "shared"
    warmup: int = 0
    displacement: Displacement | None = None
    reg: float = 0.0
    noise_scale: str = "ind"
    clipping_alpha: float = 0.0

    def __post_init__(self) -> None:
        check_scale(self.noise_scale)
        if not self.clipping_alpha >= 0:
            raise ValueError(f"clipping_alpha={self.clipping_alpha!r}: want 0 (no clipping) or more")
        if self.displacement is not None and self.beta_robustness != 0:
            raise ValueError(
                f"beta_robustness={self.beta_robustness!r} beside {type(self.displacement).__name__}, "
                "which takes the place of the robustness loss: set beta_robustness to 0"
            )

    def at_epoch(self, epoch: int) -> Method:
        """This method as it stands in that epoch (from 0)."""
        return replace(self, beta_robustness=0.0, displacement=None) if epoch < self.warmup else self


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
    free, rest = parted(theta, spared_by(model))
    batch = Batch(model, images, labels, masks, method.reg, rest)
    natural, logits = _natural(batch, free, method, generator)
    if method.beta_robustness == 0:
        return natural, logits
    clean, attack = batch.logits(free) if method.noisy_forward_std != 0 else logits, method.attack
    found = find_perturbation(boundary_gradient(batch.logits, clean, labels, attack), free, attack, generator)
    attacked = found.applied_to(free)
    if method.treat_as_constant:
        attacked = {name: tensor.detach() for name, tensor in attacked.items()}
    robust = boundary_loss(attack.boundary_loss)(clean, batch.logits(attacked), labels)
    return natural + method.beta_robustness * robust, logits


def _natural(
    batch: Batch, theta: Mapping[str, Tensor], method: Method, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """L_nat and its logits, where the method takes them."""
    if method.displacement is not None:
        batch, theta = method.displacement.moved(batch, theta, generator)
    if method.noisy_forward_std != 0:
        theta = noisy(theta, method.noisy_forward_std, generator, method.noise_scale)
    return batch.loss(theta)
