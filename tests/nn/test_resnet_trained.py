"""The residual network that is trained here: its sizes, its batch statistics, and what noise leaves alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from gridrun.nn import batch_norm
from gridrun.nn.resnet_trained import TrainedResNet
from gridrun.training.seeding import generator


def small(seed: int = 0) -> TrainedResNet:
    return TrainedResNet((3, 8, 8), 4, n_blocks=1, width=4, generator=generator(seed))


def images(n: int = 40) -> Tensor:
    return torch.randn(n, 3, 8, 8, generator=generator(1, "images"))


def test_it_is_resnet32_with_batch_normalisation_spared() -> None:
    model = TrainedResNet((3, 32, 32), 10)
    convolutions = 432 + 10 * 16 * 16 * 9 + (16 * 32 + 9 * 32 * 32) * 9 + (32 * 64 + 9 * 64 * 64) * 9
    channels = 16 + 10 * 16 + 10 * 32 + 10 * 64  # one scale and one shift each
    assert sum(p.numel() for p in model.parameters()) == convolutions + 2 * channels + 650 == 464_154
    assert len(model.spared) == 2 * 31 and all("bn" in name for name in model.spared)


def test_initialisation_is_by_its_generator_and_leaves_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = small(), small(), small(1)
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = list(zip(first.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    large = TrainedResNet((3, 32, 32), 10).layer3[1].conv1.weight
    assert large.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.02)


def test_a_training_pass_depends_on_its_batch_and_remembers_nothing() -> None:
    model, x = small().train(), images()
    with torch.no_grad():
        alone, together = model(x[:20]), model(x)
        assert not torch.allclose(alone, together[:20], atol=1e-3)
        assert torch.equal(alone, model(x[:20]))
    assert not model.bn1.running_mean.any()


def test_settled_statistics_are_those_of_the_images_at_the_given_parameters() -> None:
    model, x = small(), images()
    theta = {name: 1.5 * p.detach() for name, p in model.named_parameters()}
    found = batch_norm.settle(model, theta, x)
    first = torch.nn.functional.conv2d(x, theta["conv1.weight"], padding=1)
    assert torch.allclose(found["bn1.running_mean"], first.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(found["bn1.running_var"], first.var((0, 2, 3)), rtol=1e-4)
    assert not model.training
    model.load_state_dict({**theta, **found})  # nothing is missing
    with torch.no_grad():
        one_by_one = torch.cat([model(image[None]) for image in x])
        by_batch = functional_call(model.train(), theta, (x,))
    assert torch.allclose(one_by_one, by_batch, atol=0.02 * by_batch.abs().max().item())


def test_settled_statistics_over_several_batches_are_their_means() -> None:
    x = images(1100)
    theta = dict(small().named_parameters())
    found = batch_norm.settle(small(), theta, x)["bn1.running_mean"]
    halves = x[batch_norm.drawn(len(x))].split(500)[:2]
    parts = [batch_norm.settle(small(), theta, half)["bn1.running_mean"] for half in halves]
    assert torch.allclose(found, (parts[0] + parts[1]) / 2, atol=1e-6)


def test_settling_a_network_without_batch_normalisation_gives_nothing() -> None:
    assert batch_norm.settle(torch.nn.Linear(2, 2), {}, torch.zeros(3, 2)) == {}


def test_dropped_features_do_not_matter() -> None:
    model, x = small().eval(), images(4)
    masks = model.dropout_masks(0.5, 4, generator(2))
    assert [tuple(mask.shape) for mask in masks] == [(1, 16)]
    logits = model(x, masks)
    with torch.no_grad():
        model.linear.weight[:, masks[0][0] == 0] += 100
    assert torch.equal(logits, model(x, masks)) and not torch.allclose(logits, model(x))


@pytest.mark.parametrize("n_channels", [1, 3, 5])
def test_the_first_weights_drawn_are_those_of_its_channels(n_channels: int) -> None:
    model = TrainedResNet((n_channels, 8, 8), 4, n_blocks=1, width=4, generator=generator(0))
    fan_in = 9 * n_channels
    by_hand = torch.empty(4, n_channels, 3, 3).normal_(0, math.sqrt(2 / fan_in), generator=generator(0))
    assert torch.equal(model.conv1.weight, by_hand)


def test_a_grey_image_is_a_colour_image_of_one_weight_each() -> None:
    colour, grey = small(), TrainedResNet((1, 8, 8), 4, n_blocks=1, width=4)
    alike = colour.state_dict()
    grey.load_state_dict({**alike, "conv1.weight": alike["conv1.weight"].sum(1, keepdim=True)})
    x = images(5)[:, :1]
    assert torch.allclose(grey.eval()(x), colour.eval()(x.expand(5, 3, 8, 8)), atol=1e-5)


@pytest.mark.parametrize(("shape", "n_blocks"), [((100, 2), 1), ((1, 8, 8), 0)])
def test_what_is_no_image_or_has_no_block_is_refused(shape: tuple[int, ...], n_blocks: int) -> None:
    with pytest.raises(ValueError, match=r"images \(.*want \(channels, height, width\), and 1 or more"):
        TrainedResNet(shape, 10, n_blocks)


def test_images_sorted_by_class_give_the_statistics_of_all_classes() -> None:
    """5,000 of 20,000 images whose mean grows with their place: as good as all of them."""
    x = torch.linspace(0, 1, 20_000).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    model = small()
    theta = dict(model.named_parameters())
    found = batch_norm.settle(model, theta, x)["bn1.running_mean"]
    of_all = torch.nn.functional.conv2d(x, theta["conv1.weight"], padding=1).mean((0, 2, 3))
    assert torch.allclose(found, of_all, rtol=0.05, atol=1e-3)
