"""Networks that look harmless to a tracer, or on golden values: each is seen through, and its counts are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gridrun.faults import selftest
from gridrun.faults.campaign import Campaign
from gridrun.faults.weight_fault import WeightFault

from .small_networks import Skip, images, made
from .test_campaign import assert_equal_to_naive, drawn
from .test_pairs import assert_as_naive


class Quiet(nn.Module):
    """A ReLU that is 0 on every image until a fault comes: no golden value shows that images are mixed behind it."""

    def __init__(self, behind: Callable[[Tensor, Tensor], Tensor] | nn.Module) -> None:
        super().__init__()
        self.conv, self.head, self.behind = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 6), behind
        self.mixes = not isinstance(behind, nn.Module)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.conv(images))
        x = self.behind(x, images) if self.mixes else self.behind(x)
        return self.head(x.mean((2, 3)))


def quiet(behind: Callable[[Tensor, Tensor], Tensor] | nn.Module) -> tuple[nn.Module, list[WeightFault]]:
    """The network, its weights near 2**-17, and flips of the exponent bit that makes them 2**16 times as large."""
    model = made(lambda: Quiet(behind))
    with torch.no_grad():
        model.conv.weight.mul_(2.0**-16)
        model.conv.bias.fill_(-1.0)
        assert not model.conv(images(45)).relu().any()
    return model, [WeightFault("conv", (out, i, 1, 1), 27) for out in range(8) for i in (0, 1)]


def less_its_mean(module: nn.Module, *given: Tensor) -> Tensor:
    """What a hook can do: each image less the mean of its batch."""
    x = given[-1][0] if isinstance(given[-1], tuple) else given[-1]
    return x - x.mean(0)


def hooked(how: str) -> nn.Module:
    module = nn.Identity()
    getattr(module, how)(less_its_mean)
    return module


MIXERS = {
    "a hook": lambda: hooked("register_forward_hook"),
    "a hook in front": lambda: hooked("register_forward_pre_hook"),
    "normalised by the batch": lambda: nn.BatchNorm2d(8, track_running_stats=False),
    "mean": lambda: lambda x, images: x - x.mean(0),
    "cat": lambda: lambda x, images: torch.cat([x, 2 * x], 0).mean(0) + x,
    "getitem": lambda: lambda x, images: x[images.mean((1, 2, 3)).argsort()] + 2 * x,
}


@pytest.mark.parametrize("name", MIXERS)
def test_steps_that_mix_images_are_known_as_such_where_no_golden_value_shows_it(name: str) -> None:
    model, faults = quiet(MIXERS[name]())
    campaign = assert_equal_to_naive(model, images(45), faults, batch_size=16)
    assert "is not known to treat each image alone" in campaign.report["layers"]["conv"]
    assert not assert_as_naive(model, images(45), faults[:4], 5, 16).sizes
    assert any(0 < counts.masked < 45 for _, counts in campaign.counts(faults[:6]))


def test_a_hook_that_keeps_a_map_in_its_range_is_not_passed_by() -> None:
    model, x = made(Skip), images(40)
    golden = model(x)
    model.two.register_forward_hook(lambda module, given, maps: maps.clamp(-40, 40))
    assert torch.equal(model(x), golden)
    faults = [WeightFault("two", (out, 3, 1, 1), bit) for out in range(8) for bit in (24, 25, 30)]
    assert_equal_to_naive(model, x, faults, batch_size=16)
    assert_as_naive(model, x, faults[:8], 5, 16)


class ScaledByItsWeight(nn.Module):
    """A number that comes from a weight while the network is traced, as the weight is then."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        largest = next(self.conv.parameters()).abs().amax((1, 2, 3))
        return self.head(F.relu(self.conv(images)).mean((2, 3)) / largest)


class TwiceItsBuffer(nn.Module):
    """A constant made from a buffer while the network is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)
        self.register_buffer("scale", torch.ones(4))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.conv(images).mean((2, 3)) * (self.scale * 2))


@pytest.mark.parametrize("network", [ScaledByItsWeight, TwiceItsBuffer])
def test_a_constant_made_while_tracing_is_no_constant(network: type[nn.Module]) -> None:
    model = made(network)
    faults = [WeightFault("conv", (out, 1, 1, 1), bit) for out in range(4) for bit in (24, 25)]
    campaign = assert_equal_to_naive(model, images(20), faults, batch_size=16)
    assert "a constant made while tracing" in campaign.report["fall_back"]


class LessASlice(nn.Module):
    """Every second channel of a golden map: rows of it cannot be picked as they lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1), nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.one(images))
        return self.head(F.relu(self.two(x) - x[:, ::2]).mean((2, 3)))


def test_golden_maps_that_cannot_be_picked() -> None:
    model = made(LessASlice)
    campaign = assert_equal_to_naive(model, images(45), drawn(model, 20), batch_size=16)
    assert "golden maps do not lead to the golden logits" in campaign.report["layers"]["two"]
    assert assert_as_naive(model, images(45), drawn(model, 12), 5, 16).report["layers"]["two"] == "fault by fault"


class SumOfTwoLayouts(nn.Module):
    """A sum of a map and a turned one: it lies in memory as the first does, and is viewed so."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(256, 6)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        turned = F.relu(self.b(x).permute(0, 1, 3, 2))
        return self.head((self.a(x).view(-1, 4, 8, 8) + turned).view(-1, 256))


def test_a_sum_is_not_written_into_a_summand_of_another_layout() -> None:
    model = made(SumOfTwoLayouts)
    faults = [WeightFault("stem", (out, i, 1, 1), 24) for out in range(4) for i in range(3)]
    campaign = assert_equal_to_naive(model, images(45), faults, batch_size=16)
    assert campaign.report["layers"]["stem"] == "channels"


@pytest.mark.parametrize(("wrong", "widths"), [(None, [4]), (0, []), (3, []), (6, [])])
def test_the_self_test_tries_channels_all_over_a_layer(
    wrong: int | None, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, real = made(Skip), selftest.channels
    planner = Campaign(model, images(16), batch_size=16).planner
    cut = planner.plan(model.two.weight).cut

    def channels(graph: object, cut: object, golden: object, outs: Tensor, kernels: Tensor) -> Tensor:
        maps = real(graph, cut, golden, outs, kernels)
        return maps if wrong is None else torch.where((outs == wrong)[:, None, None], maps + 1e-3, maps)

    monkeypatch.setattr(selftest, "channels", channels)
    assert selftest.channel_widths(planner.graph, cut, images(16), [4]) == widths


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("place", [0, 6, 15])
def test_the_self_test_sees_a_place_in_the_batch_that_gives_other_bits(
    place: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = selftest.GoldenWalk.of

    def of(walk: selftest.GoldenWalk, node: object, batch: int) -> object:
        value = real(walk, node, batch)
        if str(node) != "model_head" or len(value) != 16:
            return value
        return value + 1e-3 * (torch.arange(16) == place)[:, None]

    graph = Campaign(made(Skip), images(16), batch_size=16).planner.graph
    assert "model_head" not in map(str, selftest.changed_steps(graph, images(16), size))
    monkeypatch.setattr(selftest.GoldenWalk, "of", of)
    assert "model_head" in map(str, selftest.changed_steps(graph, images(16), size))
