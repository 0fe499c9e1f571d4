"""The fused network, and campaigns in it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gridrun.faults.campaign import Campaign
from gridrun.faults.fused import fused
from gridrun.faults.naive import naive_counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo

from .small_networks import Branches, Shared, Skip, Untraceable, balance, images, made
from .test_campaign import drawn


@pytest.mark.parametrize("name", ["ResNet20", "MobileNetV2", "DenseNet121", "GoogLeNet", "VGG11_bn"])
def test_a_fused_network_computes_the_same_function(name: str) -> None:
    model, shape = zoo.small(name)
    network, factors = fused(model)
    x = torch.randn(9, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(x), model(x), rtol=1e-3, atol=1e-4)
    n_norms = [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (model, network)]
    assert n_norms[0] - n_norms[1] == len(factors) > 0
    for layer, factor in factors.items():
        weight, folded = model.get_submodule(layer).weight, network.get_submodule(layer).weight
        assert torch.allclose(folded, weight * factor.view(-1, 1, 1, 1), rtol=1e-5, atol=1e-7)


def test_a_normalisation_that_is_not_alone_behind_its_convolution_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return (self.norm(y) + y).mean((2, 3))

    network, factors = fused(made(Twice))
    assert factors == {} and isinstance(network.norm, nn.BatchNorm2d)


class ConvAgain(nn.Module):
    """A convolution called twice, of which one result is normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(self.conv(x)).relu()).mean((2, 3))


class NormAgain(ConvAgain):
    """A normalisation called twice, of which one call is behind a convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.norm(self.conv(x)).relu()).mean((2, 3))


@pytest.mark.parametrize("network", [ConvAgain, NormAgain])
def test_what_is_called_twice_is_not_folded(network: type[nn.Module]) -> None:
    model, x = made(network), images(9)
    folded, factors = fused(model)
    with torch.no_grad():
        assert factors == {} and torch.allclose(folded(x), model(x), rtol=1e-4)


class Normed(nn.Module):
    """A convolution whose weights are folded: its faulty weights have to be, too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.two, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.two(self.norm(self.conv(x)).relu()).relu().mean((2, 3)))


@pytest.mark.parametrize("variance", [0.01, 0.25])
def test_a_faulty_weight_is_scaled_as_its_layer_is(variance: float) -> None:
    model, x = made(Normed), images(60)
    model.norm.running_var.fill_(variance)
    balance(model, x)
    faults = [WeightFault("conv", (out, i, 1, 1), bit) for out in range(8) for i in range(3) for bit in (22, 23, 24)]
    found = dict(Campaign(model, x, arithmetic="fused").counts(faults))
    expected = [counts.critical for counts in naive_counts(model, x, faults)]
    apart = [abs(found[n].critical - critical) for n, critical in enumerate(expected)]
    assert sum(apart) <= 2 and sum(expected) > 200  # without the factors: up to 20 images a fault, 134 or more in all


@pytest.mark.parametrize("network", [Skip, Branches, Shared, Untraceable])
def test_critical_counts_differ_by_two_images_of_ten_thousand_at_most(network: type[nn.Module]) -> None:
    model, x = made(network), images(60)
    before = [t.clone() for t in (*model.parameters(), *model.buffers())]
    faults = drawn(model, 60)
    campaign = Campaign(model, x, arithmetic="fused", batch_size=16)
    found = dict(campaign.counts(faults))
    expected = list(naive_counts(model, x, faults, 16))
    assert [found[n].critical for n in range(60)] == [counts.critical for counts in expected]  # 60 images: none apart
    assert sum(counts.critical for counts in expected) >= 50 and campaign.report["arithmetic"] == "fused"
    assert ("fall_back" in campaign.report) == (network is Untraceable)
    assert all(torch.equal(a, b) for a, b in zip(before, (*model.parameters(), *model.buffers()), strict=True))
