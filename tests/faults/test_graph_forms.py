"""Ways in which networks are written: tokens, gates, sizes that are read off an image, inputs by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gridrun.faults import plan
from gridrun.faults.campaign import Campaign
from gridrun.faults.naive import naive_counts
from gridrun.faults.weight_fault import WeightFault

from .small_networks import balance, images, made
from .test_campaign import assert_equal_to_naive, drawn
from .test_pairs import assert_as_naive


class Base(nn.Module):
    """Two convolutions and a head, to be put together."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 6)


class Tokens(Base):
    """A linear layer on the pixels of a map, whose places in memory are turned about."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.linear(self.a(images).flatten(2).permute(0, 2, 1)).mean(1))


class Mixer(Tokens):
    """The same with sums, so that a turned map is golden at a cut and behind it."""

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.a(images).flatten(2).permute(0, 2, 1)
        tokens = tokens + self.linear(tokens)
        return self.head((tokens + self.linear.bias).relu().mean(1))


class OneLogit(Base):
    """One number for an image."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.b(self.a(images).relu()).relu().mean((2, 3)))


class Gate(Base):
    """All features times one number, from a layer of one output."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(8, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.b(self.a(images).relu())
        return self.head(x.relu().mean((2, 3)) * self.gate(x.mean((2, 3))))


class SumOfReLUs(Base):
    """Two activations of one map, added."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(8, 8, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.a(images))
        return self.head((F.relu(self.b(x)) + F.relu(self.c(x))).mean((2, 3)))


class ReLUOfReLU(Base):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.relu(F.relu(self.b(F.relu(F.relu(self.a(images)))))).mean((2, 3)))


class PoolOfSize(Base):
    """A window as large as the map."""

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.avg_pool2d(self.b(self.a(images).relu()), images.size(2)).flatten(1))


class PoolByName(Base):
    """A window in proportion to the map, by name."""

    def forward(self, images: Tensor) -> Tensor:
        height = images.shape[-1]
        return self.head(self.b(F.max_pool2d(self.a(images), kernel_size=height // 4)).mean((2, 3)))


class Indices(Base):
    """A pooling that gives two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, images: Tensor) -> Tensor:
        x, _ = self.pool(self.a(images))
        return self.head(self.b(x).mean((2, 3)))


class BatchLength(Base):
    """The number of images in the batch is in the logits."""

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.b(self.a(images).relu()).mean((2, 3))) + images.size(0) * 0.01


class InputByName(Base):
    """Modules that are called with `input=`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(input=self.norm(input=self.a(input=images)))
        return self.head(input=F.avg_pool2d(input=self.b(input=x), kernel_size=2).mean((2, 3)))


FORMS = {
    **dict.fromkeys((SumOfReLUs, ReLUOfReLU, PoolOfSize, Indices, BatchLength, InputByName), "channels"),
    **dict.fromkeys((PoolByName, OneLogit, Gate), "naive batches from the layer on"),
}  # and how faults in the first layer go


@pytest.mark.parametrize("network", FORMS)
def test_counts_are_those_of_the_naive_loop(network: type[nn.Module]) -> None:
    model, x = made(network), images(45)  # three batches of 16, of which the last has 13
    faults = [*drawn(model, 20), WeightFault("a", (3, 1, 1, 1), 30)]
    campaign = assert_equal_to_naive(model, x, faults, batch_size=16)
    assert campaign.report["layers"]["a"].startswith(FORMS[network])
    assert_as_naive(model, x, drawn(model, 6), 5, 16)


def test_a_layer_that_cannot_be_planned_is_run_naively(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_at(graph: object, weight: Tensor, probe: object) -> object:
        if weight is model.b.weight:
            raise KeyError("no such step")
        return real(graph, weight, probe)

    model, real = made(ReLUOfReLU), plan.cut_at
    monkeypatch.setattr(plan, "cut_at", cut_at)
    layers = assert_equal_to_naive(model, images(20), drawn(model, 12, ["flip"]), batch_size=16).report["layers"]
    assert layers["b"] == "naive loop (KeyError: 'no such step')" and layers["a"] == "channels"


@pytest.mark.parametrize("network", [Tokens, Mixer])
@pytest.mark.parametrize("n_images", [64, 150])
def test_tokens(network: type[nn.Module], n_images: int) -> None:
    model, x = made(network), images(n_images)
    low = [WeightFault(layer, (i, i), bit) for layer in ("linear", "head") for i in range(6) for bit in (3, 30)]
    assert_equal_to_naive(model, x, [*low, *drawn(model, 6)])
    assert_as_naive(model, x, low[::3], 5, 64)


@pytest.mark.parametrize("network", [OneLogit, Gate])
@pytest.mark.parametrize("seed", [1, 2])
def test_one_output_and_a_last_batch_of_another_length(network: type[nn.Module], seed: int) -> None:
    model, x = made(network, seed), images(45)
    assert_equal_to_naive(model, x, drawn(model, 30, ["flip"], range(24)), batch_size=16)


@pytest.mark.parametrize("arithmetic", ["screened", "fused"])
@pytest.mark.parametrize("network", FORMS)
def test_critical_counts_where_only_some_images_are_run(network: type[nn.Module], arithmetic: str) -> None:
    model, x = made(network), images(45)
    balance(model, x)
    faults = [WeightFault("a", (out, i, 1, 1), bit) for out in range(8) for i in (0, 1) for bit in (12, 23, 24)]
    found = dict(Campaign(model, x, arithmetic=arithmetic, batch_size=16).counts(faults))
    expected = [counts.critical for counts in naive_counts(model, x, faults, 16)]
    assert [found[n].critical for n in range(len(faults))] == expected
    assert (sum(expected) > 20) == (network is not OneLogit)


@pytest.mark.parametrize("arithmetic", ["screened", "fused"])
def test_a_campaign_within_inference_mode(arithmetic: str) -> None:
    model, x = made(ReLUOfReLU), images(45)
    faults = [WeightFault("a", (out, 1, 1, 1), bit) for out in range(8) for bit in (12, 23, 30)]
    outside = dict(Campaign(model, x, arithmetic=arithmetic, batch_size=16).counts(faults))
    with torch.inference_mode():
        campaign = Campaign(model, x, arithmetic=arithmetic, batch_size=16)
        assert dict(campaign.counts(faults)) == outside
    assert campaign.report["screened"]["judged"] > 0


@pytest.mark.parametrize("arithmetic", ["exact", "screened", "fused"])
def test_no_images_and_batches_of_none(arithmetic: str) -> None:
    model = made(ReLUOfReLU)
    with pytest.raises(ValueError, match="0 images"):
        Campaign(model, images(0), arithmetic=arithmetic)
    with pytest.raises(ValueError, match="batches of 0"):
        Campaign(model, images(4), batch_size=0, arithmetic=arithmetic)
