"""The worst case within a ball: accuracy at the parameters that an attack finds on the test images."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call

from ..training.adversarial import (
    Gradient,
    ParameterAttack,
    Theta,
    boundary_gradient,
    find_perturbation,
    mean_gradient,
)
from ..training.evaluation import accuracy, batch_of, judging, logits_at, perturbed_of
from ..training.seeding import generator


@judging
def attacked_parameters(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: ParameterAttack,
    seed: int = 0,
    batch_size: int | None = None,
) -> Theta:
    """theta* that one attack finds for all images together: the attack of training, without dropout.

    The images go through in batches and their gradients are averaged, so memory does not grow with their
    number.
    """
    gradient = gradient_on(model, images, labels, attack, batch_size)
    theta = perturbed_of(model)
    return find_perturbation(gradient, theta, attack, generator(seed, "attack")).applied_to(theta)


def gradient_on(
    model: nn.Module, images: Tensor, labels: Tensor, attack: ParameterAttack, batch_size: int | None = None
) -> Gradient:
    """theta* -> d L_rob / d theta*, the mean over all images, which go through in batches, of 1,000 unless told."""
    theta, size = perturbed_of(model), batch_size or batch_of(model) or 1000
    batches = list(zip(images.split(size), labels.split(size), strict=True))
    parts = [_gradient(model, theta, x, y, attack) for x, y in batches]
    return mean_gradient(parts, [len(y) for _, y in batches])


def _gradient(model: nn.Module, theta: Theta, x: Tensor, y: Tensor, attack: ParameterAttack) -> Gradient:
    def forward(parameters: Mapping[str, Tensor]) -> Tensor:
        return functional_call(model, dict(parameters), (x,))

    clean = logits_at(model, theta, x, len(x))  # as one batch, as `forward` sees them
    return boundary_gradient(forward, clean, y, attack)


@judging
def worst_case_accuracy(
    model: nn.Module, images: Tensor, labels: Tensor, attack: ParameterAttack, seed: int = 0
) -> float:
    """Accuracy in 0..1 on the very images that were attacked."""
    return accuracy(logits_at(model, attacked_parameters(model, images, labels, attack, seed), images), labels)
