"""The loss landscape of a linear network against softmax and cross entropy written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gridrun.analysis.landscape import direction, flatness, landscape
from gridrun.nn.cnn import CNN
from gridrun.nn.resnet_trained import TrainedResNet
from gridrun.training.evaluation import parameters_of
from gridrun.training.seeding import generator

IMAGES = torch.randn(60, 1, 3, 3, generator=generator(0, "images"))
LABELS = torch.randint(0, 4, (60,), generator=generator(0, "labels"))


def linear() -> CNN:
    return CNN((1, 3, 3), 4, (), 1, 0, (), generator=generator(0))


def in_numpy(std: float, n_directions: int, n_points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy and accuracy on each line, the directions drawn anew."""
    weight, bias = (p.detach().numpy().astype(float) for p in linear().parameters())
    x, y = IMAGES.flatten(1).numpy().astype(float), LABELS.numpy()
    entropy, right = np.zeros((2, n_directions, n_points))
    for i in range(n_directions):
        stream = generator(seed, "landscape", i)
        v = [std * abs(p) * torch.randn(p.shape, generator=stream).numpy() for p in (weight, bias)]
        for j in range(n_points):
            alpha = -2 + 4 * j / (n_points - 1)
            logits = x @ (weight + alpha * v[0]).T + bias + alpha * v[1]
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            entropy[i, j] = -np.log(p[np.arange(60), y]).mean()
            right[i, j] = (logits.argmax(1) == y).mean()
    return entropy, right


def test_lines_and_their_flatness_are_numpys() -> None:
    found = landscape(linear(), IMAGES, LABELS, std=0.7, n_directions=3, n_points=9, seed=5)
    entropy, right = in_numpy(0.7, 3, 9, 5)
    assert np.array_equal(found["alpha"], [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2])
    assert np.abs(found["cross_entropy"] - entropy).max() < 1e-6
    assert np.array_equal(found["accuracy"], right)
    travelled = np.array([sum(abs(b - a) for a, b in zip(line, line[1:])) for line in entropy])
    assert found["flatness"] == pytest.approx(travelled / 4, abs=1e-5)  # total variation over the length of the line
    assert np.ptp(found["flatness"]) > 0.01


def test_at_alpha_0_is_the_network_itself_and_without_noise_every_line_is_flat() -> None:
    model = linear()
    clean = torch.nn.functional.cross_entropy(model(IMAGES), LABELS).item()
    lines = landscape(model, IMAGES, LABELS, n_directions=2, n_points=5)["cross_entropy"]
    assert lines[:, 2] == pytest.approx(clean, abs=1e-6)
    flat = landscape(model, IMAGES, LABELS, std=0.0, n_directions=2, n_points=5)
    assert flat["flatness"].tolist() == [0, 0] and np.ptp(flat["accuracy"]) == 0


def test_the_network_is_left_alone_and_a_line_does_not_hang_on_the_others() -> None:
    model = linear()
    before = parameters_of(model)
    few, more = (landscape(model, IMAGES, LABELS, n_directions=n, n_points=4)["cross_entropy"] for n in (1, 3))
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert np.array_equal(few[0], more[0]) and not np.allclose(more[0], more[1])


def test_a_direction_has_the_deviation_that_is_asked_for_relative_to_each_parameter() -> None:
    theta = {"w": torch.tensor([-3.0, 0.5, 0.0]).repeat(20_000, 1)}
    v = direction(theta, 0.2, generator(0))["w"]
    assert v.std(0) == pytest.approx([0.6, 0.1, 0.0], rel=0.02)
    assert v.mean(0).abs().max() < 0.02


def test_what_a_network_spares_stays() -> None:
    model = TrainedResNet((3, 8, 8), 4, n_blocks=1, width=4, generator=generator(0)).eval()
    for name, p in model.named_parameters():
        p.requires_grad_(name in model.spared)  # nothing else can move
    found = landscape(model, torch.randn(20, 3, 8, 8), LABELS[:20], std=5.0, n_directions=1, n_points=3)
    assert found["flatness"].tolist() == [0]


@pytest.mark.parametrize("wrong", [{"n_points": 1}, {"n_directions": 0}])
def test_no_line_and_no_slope_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="want 1 or more, and 2 or more"):
        landscape(linear(), IMAGES, LABELS, **wrong)


def test_flatness_of_a_straight_slope_is_the_slope() -> None:
    alphas = np.linspace(-2, 2, 50)
    assert flatness(alphas, np.stack([3 * alphas, -0.25 * alphas + 7])) == pytest.approx([3, 0.25])
