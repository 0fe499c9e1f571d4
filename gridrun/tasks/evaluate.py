"""What a trained network is worth: accuracy under mismatch and under attack, cached by the trained network's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import cachable

if TYPE_CHECKING:
    import numpy as np


@cachable(dependencies=["model:{architecture}_session_id", "level", "n_repeats", "noise_seed"])
def mismatch_accuracy(model: Mapping[str, Any], level: float, n_repeats: int = 100, noise_seed: int = 0) -> np.ndarray:
    """Test accuracy in 0..1 of each draw of mismatch, shape (n_repeats,); at level 0 all draws are one, shape (1,)."""
    from ..faults.mismatch import accuracy_under_mismatch
    from . import settings

    with settings.reproducible(model):
        images, labels = settings.splits(model).test
        n_draws = n_repeats if level else min(n_repeats, 1)
        return accuracy_under_mismatch(settings.trained(model), images, labels, level, n_draws, noise_seed)


@cachable(
    dependencies=[
        "model:{architecture}_session_id",
        "attack_size",
        "steps",
        "loss",
        "n_starts",
        "noise_seed",
    ]
)
def worst_case_accuracy(
    model: Mapping[str, Any],
    attack_size: float,
    steps: int = 10,
    loss: str = "kl",
    n_starts: int = 1,
    noise_seed: int = 0,
) -> float:
    """Test accuracy in 0..1 at the parameters that an attack of relative size `attack_size` finds on the test
    images.

    The worst of `n_starts` random starts. Size 0 gives the clean accuracy.
    """
    from ..faults.worst_case import worst_case_accuracy as attacked_accuracy
    from ..training.adversarial import ParameterAttack
    from . import settings

    with settings.reproducible(model), settings.mendable():
        start, n_steps = (0.001, steps) if attack_size else (0.0, 0)
        attack = ParameterAttack(attack_size, 0.0, start, n_attack_steps=n_steps, boundary_loss=loss)
        images, labels = settings.splits(model).test
        network, seeds = settings.trained(model), range(noise_seed, noise_seed + n_starts)
        return min(attacked_accuracy(network, images, labels, attack, seed) for seed in seeds)
