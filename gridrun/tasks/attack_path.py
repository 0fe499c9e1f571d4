"""What each step of the attack on a trained network does, beside random steps, cached by the network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import cachable
from .evaluate import NETWORK

if TYPE_CHECKING:
    import numpy as np


@cachable(dependencies=[NETWORK, "attack_size", "steps", "loss", "n_random", "noise_seed", "n_images"])
def attack_path(
    model: Mapping[str, Any],
    attack_size: float,
    steps: int = 10,
    loss: str = "kl",
    n_random: int = 10,
    noise_seed: int = 0,
    n_images: int | None = None,
) -> dict[str, np.ndarray]:
    """The boundary loss and the accuracy (0..1) on the test images at the start of an attack and after each step, and
    of `n_random` ways of the same steps in directions drawn at random: each way keeps its signs.

    {"adversarial" and "adversarial_accuracy": (steps + 1,), "random" and "random_accuracy": (n_random, steps + 1)}.
    The attack is `worst_case_accuracy`'s with one start. `n_images` as in `evaluate`.
    """
    from ..analysis.attack_path import attack_path as followed
    from ..training.adversarial import ParameterAttack
    from . import ranges, settings

    ranges.check_arguments(attack_size=attack_size, steps=steps, n_random=n_random)
    ranges.check_arguments(noise_seed=noise_seed, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        start = 0.001 if attack_size else 0.0
        attack = ParameterAttack(attack_size, 0.0, start, n_attack_steps=steps, boundary_loss=loss)
        images, labels = settings.test_images(model, n_images)
        return followed(settings.trained(model), images, labels, attack, n_random, noise_seed)
