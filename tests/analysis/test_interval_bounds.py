"""Interval bounds of CNNs: by hand, by every corner of a small box, by first order, and by networks of the box."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from gridrun.analysis.boxes import DOUBLE, SINGLE, affine, point, product
from gridrun.analysis.interval_bounds import Bounds, bounds
from gridrun.nn.cnn import CNN
from gridrun.nn.resnet_trained import TrainedResNet
from gridrun.training.evaluation import parameters_of
from gridrun.training.seeding import generator

IMAGES = torch.randn(12, 1, 6, 6, generator=generator(0, "images"), dtype=torch.double)
LABELS = torch.arange(12) % 3


def network(**other: bool) -> CNN:
    return CNN((1, 6, 6), 3, (3, 4), 2, [[2, 1], 0], (5, 4), generator=generator(0), **other).double()


def one_pixel(hidden: tuple[int, ...] = (1,), n_classes: int = 2, pixels: int = 1, seed: int = 0) -> CNN:
    return CNN((1, 1, pixels), n_classes, (), 1, 0, hidden, generator=generator(seed)).double()


def networks_within(size: float, model: CNN, n: int = 60) -> Iterator[dict[str, Tensor]]:
    """Parameters in the box: drawn evenly, in corners drawn at random, and in the corners that the gradients of each
    image's margins point to, up and down."""
    theta, stream = parameters_of(model), generator(3)
    for _ in range(n):
        draws = {name: 2 * torch.rand(p.shape, generator=stream, dtype=p.dtype) - 1 for name, p in theta.items()}
        yield {name: p + size * p.abs() * draws[name] for name, p in theta.items()}
        yield {name: p + size * p.abs() * draws[name].sign() for name, p in theta.items()}
    for image, c in itertools.product(range(len(IMAGES)), range(3)):
        leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
        logits = functional_call(model, leaves, (IMAGES[image : image + 1],))[0]
        slopes = torch.autograd.grad(logits[c] - logits.mean(), list(leaves.values()))
        for side in (-1, 1):
            yield {name: p + side * size * p.abs() * g.sign() for (name, p), g in zip(theta.items(), slopes)}


def margins_of(logits: Tensor, labels: Tensor) -> Tensor:
    margins = logits.gather(1, labels[:, None]) - logits
    return margins.scatter(1, labels[:, None], torch.inf)


def leave(found: Bounds, logits: Tensor, labels: Tensor = LABELS) -> bool:
    """Whether these logits are outside the bounds in any place."""
    inside = (
        (found.logits.low <= logits) & (logits <= found.logits.high) & (margins_of(logits, labels) >= found.margins)
    )
    return not bool(inside.all())


@pytest.mark.parametrize("x", [2.0, -2.0])
def test_one_pixel_and_one_neuron_by_hand(x: float) -> None:
    model = one_pixel()
    with torch.no_grad():
        for p, values in zip(model.parameters(), ([[0.5 * x / 2]], [-0.25], [[2.0], [-1.0]], [0.1, 0.2]), strict=True):
            p.copy_(torch.tensor(values))
    found = bounds(model, torch.full((1, 1, 1, 1), x), torch.tensor([0]), 0.1)
    low, high = 2 * 0.45 - 0.275, 2 * 0.55 - 0.225  # the neuron: relu(w x + b), w from .45 to .55, b about -.25
    assert found.logits.low[0].tolist() == pytest.approx([1.8 * low + 0.09, -1.1 * high + 0.18])
    assert found.logits.high[0].tolist() == pytest.approx([2.2 * high + 0.11, -0.9 * low + 0.22])
    assert found.margins[0].tolist() == pytest.approx([torch.inf, (1.8 + 0.9) * low + 0.09 - 0.22])
    assert found.verified.tolist() == [True]
    assert bounds(model, torch.full((1, 1, 1, 1), x), torch.tensor([1]), 0.1).verified.tolist() == [False]


@pytest.mark.parametrize("size", [0.0, 0.1, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_with_one_neuron_bounds_are_the_extremes_of_all_128_corners(seed: int, size: float) -> None:
    """Every parameter comes into a logit once, which is monotone in each: the extremes are in corners, and found."""
    model, images = one_pixel(pixels=2, seed=seed), torch.tensor([[1.5, -0.7], [0.3, 2.0], [-1.0, -1.0]]).double()
    images, labels = images.view(3, 1, 1, 2), torch.tensor([0, 1, 0])
    theta = parameters_of(model)
    shapes = {name: p.numel() for name, p in theta.items()}
    logits = []
    for corner in itertools.product((-1.0, 1.0), repeat=sum(shapes.values())):
        signs = dict(zip(theta, torch.tensor(corner).split(list(shapes.values())), strict=True))
        moved = {name: p + size * p.abs() * signs[name].view(p.shape) for name, p in theta.items()}
        logits.append(functional_call(model, moved, (images,)))
    corners = torch.stack(logits)
    assert len(corners) == 128
    found = bounds(model, images, labels, size)
    assert torch.allclose(found.logits.low, corners.amin(0), rtol=0, atol=1e-12)
    assert torch.allclose(found.logits.high, corners.amax(0), rtol=0, atol=1e-12)
    margins = torch.stack([margins_of(one, labels) for one in corners]).amin(0)
    assert torch.allclose(found.margins, margins, rtol=0, atol=1e-12)
    assert torch.equal(found.verified, (corners.argmax(2) == labels).all(0))


@pytest.mark.parametrize("size", [1e-9, 1e-3, 0.03, 0.3, 1.5])
def test_no_network_of_the_box_leaves_the_bounds(size: float) -> None:
    model = network()
    found = bounds(model, IMAGES, LABELS, size)
    logits = torch.stack([functional_call(model, theta, (IMAGES,)) for theta in networks_within(size, model)])
    assert len(logits) == 192
    assert not any(leave(found, one) for one in logits)
    reached = (logits.amax(0) - logits.amin(0)) / found.widths
    assert reached.max() > 0.1  # the networks are not all in the middle of the box
    outside = networks_within(size * 30, model) if size < 0.1 else ()
    assert size > 0.1 or any(leave(found, functional_call(model, theta, (IMAGES,))) for theta in outside)


def test_with_size_0_nothing_is_left_but_the_network_itself() -> None:
    model = network()
    found, logits = bounds(model, IMAGES, LABELS, 0.0), model(IMAGES)
    assert found.widths.max() < 1e-12 and not leave(found, logits.detach())
    answers = logits.argmax(1)
    assert torch.equal(found.verified, answers == LABELS)
    assert bounds(model, IMAGES, answers, 0.0).verified.all()


def test_in_small_boxes_a_network_of_one_hidden_layer_has_the_width_of_first_order() -> None:
    """sum over parameters of |theta d logit / d theta|, twice the size: nothing is lost where each comes in once."""
    model = CNN((1, 6, 6), 3, (), 1, 0, (7,), generator=generator(1)).double()
    widths = bounds(model, IMAGES, LABELS, 1e-7).widths / 2e-7
    for image, c in itertools.product(range(12), range(3)):
        leaves = {name: p.requires_grad_() for name, p in parameters_of(model).items()}
        logit = functional_call(model, leaves, (IMAGES[image : image + 1],))[0, c]
        slopes = torch.autograd.grad(logit, list(leaves.values()))
        first_order = sum((p * g).abs().sum().item() for p, g in zip(leaves.values(), slopes))
        assert widths[image, c].item() == pytest.approx(first_order, rel=1e-4)


def test_the_bounds_grow_with_the_box_and_are_each_images_own() -> None:
    model = network()
    small, large = (bounds(model, IMAGES, LABELS, size) for size in (0.01, 0.02))
    assert (small.widths < large.widths).all() and (small.margins >= large.margins).all()
    alone = [bounds(model, IMAGES[i : i + 1], LABELS[i : i + 1], 0.01) for i in range(12)]
    assert torch.allclose(torch.cat([one.margins for one in alone]), small.margins, atol=1e-12)
    many = bounds(model, IMAGES.repeat(5, 1, 1, 1), LABELS.repeat(5), 0.01)
    assert torch.allclose(many.widths[-12:], small.widths, atol=1e-12)


def test_margins_are_never_worse_than_the_logits_own_bounds() -> None:
    found = bounds(network(), IMAGES, LABELS, 0.05)
    apart = found.logits.low.gather(1, LABELS[:, None]) - found.logits.high
    others = F.one_hot(LABELS, 3) == 0
    assert (found.margins[others] >= apart[others] - 1e-12).all()
    assert (found.margins[others] > apart[others] + 0.01).any()


@pytest.mark.parametrize("make", [network, lambda: CNN((1, 6, 6), 3, (), 1, 0, ()).double()], ids=["cnn", "linear"])
def test_bounds_for_networks_in_single_precision(make: Callable[[], CNN]) -> None:
    """Their rounding leaves the bounds of exact arithmetic, but not those that allow for it."""
    model, single, images = make(), make().float(), IMAGES.float()
    exact, rounded = (bounds(single, images, LABELS, 0.0, u) for u in (DOUBLE, SINGLE))
    logits = single(images).detach().double()
    assert leave(exact, logits) and not leave(rounded, logits)
    assert rounded.widths.max() < 1e-3
    within = bounds(model, images, LABELS, 0.01, SINGLE)
    for theta in networks_within(0.01, model, n=20):
        nearest = {name: p.float() for name, p in theta.items()}
        assert not leave(within, functional_call(single, nearest, (images,)).detach().double())


@pytest.mark.parametrize("n", [3, 200])
def test_rounding_is_allowed_for_beside_sums_of_fractions(n: int) -> None:
    w, x = (torch.randn(n, generator=generator(n, name), dtype=torch.double) for name in "wx")
    box, slack = affine(point(x[None]), point(w[None]), point(torch.tensor([1.0])), F.linear)
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(w.tolist(), x.tolist(), strict=True)) + 1
    low, high = (Fraction(end.item()) for end in box.widened(slack))
    assert low < exact < high and high - low < Fraction(1, 10**10)
    _, size = product(point(x[None]), point(w[None]), F.linear)
    assert size.item() == pytest.approx((w * x).abs().sum().item())
    assert slack.item() >= 2 * n * 2**-53 * size.item()


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (network(batch_standardize=True), 0.1, "batch_standardize=True: an image's logits depend on its batch"),
        (TrainedResNet((3, 8, 8), 3, 1, 4), 0.1, "no interval bounds for a TrainedResNet"),
        (network(), -0.1, "size=-0.1: want 0 or more"),
        (network(), float("nan"), "size=nan: want 0 or more"),
    ],
)
def test_what_has_no_bounds_is_refused(model: torch.nn.Module, size: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bounds(model, IMAGES, LABELS, size)


def test_an_image_that_is_no_number_is_never_verified() -> None:
    images = IMAGES.clone()
    images[3, 0, 2, 2] = torch.nan
    model = network()
    found = bounds(model, images, model(IMAGES).argmax(1), 0.0)
    assert found.verified.tolist() == [i != 3 for i in range(12)]
