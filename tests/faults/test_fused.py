"""The fused network, and campaigns in it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gridrun.faults.campaign import Campaign
from gridrun.faults.fused import fused
from gridrun.faults.naive import naive_counts
from gridrun.nn import zoo

from .small_networks import Branches, Shared, Skip, Untraceable, images, made
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
