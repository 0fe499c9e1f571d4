"""The way of the parameter attack: what the outputs lose after each of its steps, beside random ways as long.

Buechel, Faber, Muir (ICLR 2022) show that an attack of a few steps moves the outputs much farther than random changes
of the same size. Both ways start at the attack's random start, and each of their N steps changes every parameter by
zeta_a |theta| / N, up or down. The attack takes the sign from the gradient, step after step (a parameter without a
gradient stays); a random way has signs drawn once, before its first step. So after t steps every parameter of a random
way is t zeta_a / N |theta| from the start, which is the farthest that the attack can have gone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..faults.worst_case import gradient_on
from ..training.adversarial import Gradient, ParameterAttack, Perturbation, Theta, attack_steps
from ..training.evaluation import accuracy, judging, logits_at, perturbed_of
from ..training.losses import boundary_loss
from ..training.seeding import generator


@judging
def attack_path(
    model: nn.Module, images: Tensor, labels: Tensor, attack: ParameterAttack, n_random: int = 10, seed: int = 0
) -> dict[str, np.ndarray]:
    """{"adversarial" (N + 1,), "random" (n_random, N + 1), and "adversarial_accuracy", "random_accuracy" likewise}: the
    boundary loss and the accuracy (0..1) on the images, at the start and after each of the N steps.

    The attack is that of `faults.worst_case` with the same seed. Random way i has its own stream (seed, i).
    """
    theta = perturbed_of(model)
    clean, loss_of = logits_at(model, theta, images).double(), boundary_loss(attack.boundary_loss)

    def measured(reached: Perturbation) -> tuple[float, float]:
        logits = logits_at(model, reached.applied_to(theta), images)
        return loss_of(clean, logits.double(), labels).item(), accuracy(logits, labels)

    signs = (random_signs(theta, generator(seed, "random way", i)) for i in range(n_random))
    ways = [gradient_on(model, images, labels, attack), *map(always, signs)]
    starts = [generator(seed, "attack") for _ in ways]  # one and the same start
    steps = [attack_steps(way, theta, attack, start) for way, start in zip(ways, starts, strict=True)]
    found = np.array([[measured(reached) for reached in way] for way in steps])
    return {
        "adversarial": found[0, :, 0],
        "random": found[1:, :, 0],
        "adversarial_accuracy": found[0, :, 1],
        "random_accuracy": found[1:, :, 1],
    }


def random_signs(theta: Mapping[str, Tensor], draw: torch.Generator) -> Theta:
    """+1 or -1 for each parameter, as likely, drawn tensor by tensor in the order of the names.

    >>> random_signs({"w": torch.zeros(4)}, generator(0))["w"].abs()
    tensor([1., 1., 1., 1.])
    """
    ones = {name: 2.0 * torch.randint(0, 2, tensor.shape, generator=draw) - 1 for name, tensor in theta.items()}
    return {name: sign.to(theta[name]) for name, sign in ones.items()}


def always(signs: Theta) -> Gradient:
    """A gradient that is the same wherever it is taken."""
    return lambda _: signs
