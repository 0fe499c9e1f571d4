"""Adversarial weight perturbation (Wu, Xia, Wang, NeurIPS 2020), in the form for parameter noise.

In Buechel, Faber and Muir (ICLR 2022, the code's `awp`): the parameter attack climbs the training loss to theta*, the
gradient is taken a part of the way there, at theta + awp_gamma (theta* - theta), and applied to theta. With
`eps_pga` above 0 the inputs are attacked too, at theta, before. A step costs n_attack_steps + 1 standard steps, and
nb_iter more with the inputs.

With gamma 1 it is AMP in the ball of the parameter attack: the gradient of the training loss at theta* itself. (The
code of that paper sets beta_robustness 9999, treat_as_constant and madry for it, which leaves no gradient of the
robustness loss: its published AMP is standard training. See tests/training/test_displacement.py.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .adversarial import ParameterAttack, Theta, find_perturbation
from .batch import Batch
from .displacement import check_above_zero, plus
from .input_attack import attacked_inputs


@dataclass(frozen=True)
class AWP:
    """The gradient at theta + gamma (theta* - theta), on inputs moved by up to `eps_pga` (0: as they are)."""

    attack: ParameterAttack
    gamma: float = 0.1
    eps_pga: float = 0.0
    nb_iter: int = 3

    def __post_init__(self) -> None:
        check_above_zero(awp_gamma=self.gamma, nb_iter=self.nb_iter)
        if self.attack.boundary_loss != "madry":
            raise ValueError(
                f'boundary_loss={self.attack.boundary_loss!r} has no place here: set boundary_loss="madry", '
                "since awp and amp climb the training loss"
            )

    def moved(self, batch: Batch, theta: Mapping[str, Tensor], generator: torch.Generator) -> tuple[Batch, Theta]:
        """The batch with its inputs attacked, and theta moved by gamma (theta* - theta)."""
        found = find_perturbation(batch.gradient, theta, self.attack, generator)
        change = {k: v.detach().abs() * found.relative[k] + found.constant[k] for k, v in theta.items()}
        if self.eps_pga > 0:
            batch = replace(batch, inputs=attacked_inputs(batch, theta, self.eps_pga, self.nb_iter, generator))
        return batch, plus(theta, change, self.gamma)
