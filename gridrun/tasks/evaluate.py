"""What a trained network is worth: accuracy under noise and under attack, cached by the trained network's id.

`n_images` takes so many of the test images, the same for every network, the classes in proportion; None takes all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import cachable

if TYPE_CHECKING:
    import numpy as np

NETWORK = "model:{architecture}_session_id"


@cachable(dependencies=[NETWORK, "level", "n_repeats", "noise_seed", "n_images"])
def mismatch_accuracy(
    model: Mapping[str, Any],
    level: float,
    n_repeats: int = 100,
    noise_seed: int = 0,
    n_images: int | None = None,
) -> np.ndarray:
    """Test accuracy in 0..1 of each draw of mismatch, shape (n_repeats,); at level 0 all draws are one, shape (1,)."""
    from ..faults.mismatch import accuracy_under_mismatch
    from . import ranges, settings

    ranges.check_arguments(level=level, n_repeats=n_repeats, noise_seed=noise_seed, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        images, labels = settings.test_images(model, n_images)
        n_draws = n_repeats if level else 1
        return accuracy_under_mismatch(settings.trained(model), images, labels, level, n_draws, noise_seed)


@cachable(dependencies=[NETWORK, "std", "n_repeats", "noise_seed", "n_images"])
def constant_noise_accuracy(
    model: Mapping[str, Any],
    std: float,
    n_repeats: int = 100,
    noise_seed: int = 0,
    n_images: int | None = None,
) -> np.ndarray:
    """Test accuracy in 0..1 of each draw of noise of one size for every parameter, theta + std n, n ~ N(0, 1): shape
    (n_repeats,), (1,) for std 0."""
    from ..faults.mismatch import accuracy_under_mismatch
    from . import ranges, settings

    ranges.check_arguments(std=std, n_repeats=n_repeats, noise_seed=noise_seed, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        images, labels = settings.test_images(model, n_images)
        n_draws = n_repeats if std else 1
        network = settings.trained(model)
        return accuracy_under_mismatch(network, images, labels, std, n_draws, noise_seed, is_relative=False)


@cachable(
    dependencies=[
        NETWORK,
        "attack_size",
        "steps",
        "loss",
        "n_starts",
        "noise_seed",
        "n_images",
        "attack_size_constant",
    ]
)
def worst_case_accuracy(
    model: Mapping[str, Any],
    attack_size: float,
    steps: int = 10,
    loss: str = "kl",
    n_starts: int = 1,
    noise_seed: int = 0,
    n_images: int | None = None,
    attack_size_constant: float = 0.0,
) -> float:
    """Test accuracy in 0..1 at the parameters that an attack finds on these very images: of relative size
    `attack_size`, and `attack_size_constant` for all alike.

    The worst of `n_starts` random starts. Both sizes 0 give the clean accuracy.
    """
    from ..faults.worst_case import worst_case_accuracy as attacked_accuracy
    from ..training.adversarial import ParameterAttack
    from . import ranges, settings

    sizes = {"attack_size": attack_size, "attack_size_constant": attack_size_constant}
    ranges.check_arguments(**sizes, steps=steps, n_starts=n_starts, noise_seed=noise_seed, n_images=n_images)
    with settings.reproducible(model), settings.mendable():
        start, n_steps = (0.001, steps) if attack_size or attack_size_constant else (0.0, 0)
        attack = ParameterAttack(attack_size, attack_size_constant, start, n_attack_steps=n_steps, boundary_loss=loss)
        images, labels = settings.test_images(model, n_images)
        network, seeds = settings.trained(model), range(noise_seed, noise_seed + n_starts)
        return min(attacked_accuracy(network, images, labels, attack, seed) for seed in seeds)
