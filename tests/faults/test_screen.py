"""The screened campaign: what is judged without a run, and how the report tells when that goes wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gridrun.faults import screen
from gridrun.faults.campaign import Campaign
from gridrun.faults.naive import naive_counts
from gridrun.faults.weight_fault import WeightFault

from .small_networks import Branches, Skip, images, made


def every_weight(model: nn.Module, layer: str, bit: int) -> list[WeightFault]:
    """A flip of one bit in each weight of a layer."""
    places = torch.ones(model.get_submodule(layer).weight.shape).nonzero().tolist()
    return [WeightFault(layer, tuple(place), bit) for place in places]


class Linear(nn.Module):
    """Two logits that are linear in the map of the convolution, so first order is all there is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 1, bias=False), nn.Linear(8, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).flatten(1))


def radii_of(campaign: Campaign, layer: str) -> torch.Tensor:
    from gridrun.faults.golden import GoldenWalk

    plan = campaign.planner.plan(campaign.model.get_submodule(layer).weight)
    walk = GoldenWalk(plan.graph, [campaign.images])
    return screen.radii(plan.graph, plan.cut, walk.all, torch.arange(len(campaign.images)))


def test_the_radius_of_a_linear_network_by_hand() -> None:
    model, x = made(Linear), torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    difference = (model.head.weight[0] - model.head.weight[1]).detach()  # of the two logits, by the map's 8 numbers
    logits = model(x).detach()
    margin = (logits[:, 0] - logits[:, 1]).abs()
    by_hand = margin[:, None] / difference.abs().view(2, 4).sum(1)
    scale = model.conv(x).detach().flatten(1).square().mean(1, keepdim=True).sqrt()
    expected = torch.minimum(by_hand, scale) / screen.SAFETY
    assert torch.allclose(radii_of(Campaign(model, x), "conv"), expected, rtol=1e-5)


def test_within_the_radius_no_prediction_of_a_linear_network_changes_and_beyond_one_may() -> None:
    model, x = made(Linear), torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    radius = radii_of(Campaign(model, x), "conv") * screen.SAFETY
    maps, weight = model.conv(x).detach(), model.head.weight.detach()
    toward = (weight[1] - weight[0]).sign().view(2, 2, 2) * (1 - 2 * model(x).argmax(1).view(-1, 1, 1, 1))
    before = model(x).argmax(1)
    for channel in range(2):
        step = radius[:, channel, None, None] * toward[:, channel]
        for share, may in ((0.99, False), (1.01, True)):
            moved = maps.clone()
            moved[:, channel] += share * step
            changed = model.head(moved.flatten(1)).argmax(1) != before
            is_by_margin = radius[:, channel] < maps.flatten(1).square().mean(1).sqrt() * 0.999
            assert not changed.any() if not may else changed[is_by_margin].all() and is_by_margin.any()


@pytest.mark.parametrize("network", [Skip, Branches])
def test_critical_counts_are_those_of_the_naive_loop(network: type[nn.Module]) -> None:
    model, x = made(network), images(90)
    layer = "two" if network is Skip else "b"
    faults = [f for bit in (3, 18, 21, 24, 30) for f in every_weight(model, layer, bit)[::7]]
    campaign = Campaign(model, x, torch.arange(90) % 6, arithmetic="screened", batch_size=16)
    found = dict(campaign.counts(faults))
    for n, expected in enumerate(naive_counts(model, x, faults, 16, torch.arange(90) % 6)):
        assert found[n][3:] == expected[3:]  # critical, due, sdc5, correct
        assert found[n].masked <= expected.masked
        assert found[n].masked + found[n].non_critical == expected.masked + expected.non_critical
    report = campaign.report["screened"]
    assert report["judged"] > 1000 and report["critical"] == 0


def test_each_channel_has_its_own_radius() -> None:
    model, x = made(Linear), torch.randn(200, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.head.weight[:, :4] *= 0.1  # what channel 0 may move by is far too much for channel 1
    faults = [WeightFault("conv", (1, 0, 0, 0), bit) for bit in range(16, 24)]
    found = dict(Campaign(model, x, arithmetic="screened", batch_size=16).counts(faults))
    expected = [counts.critical for counts in naive_counts(model, x, faults, 16)]
    assert [found[n].critical for n in range(8)] == expected and sum(expected) > 30


def test_the_audit_tells_when_the_judgement_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "SAFETY", 1e-6)  # even weights four times as large are judged harmless
    monkeypatch.setattr(screen, "AUDITED", 0.5)
    model, x = made(Branches), images(40)
    campaign = Campaign(model, x, arithmetic="screened", batch_size=16)
    faults = every_weight(model, "b", 24) + every_weight(model, "b", 31)
    found = dict(campaign.counts(faults))
    report = campaign.report["screened"]
    assert report["audited"] > 100 and 0 < report["critical"] <= sum(counts.critical for counts in found.values())


def test_few_faults_of_a_layer_are_not_worth_a_backward_pass() -> None:
    model, x = made(Skip), images(40)
    campaign = Campaign(model, x, arithmetic="screened", batch_size=16)
    faults = every_weight(model, "two", 3)[: screen.WORTH - 1]
    assert [c for _, c in sorted(campaign.counts(faults))] == list(naive_counts(model, x, faults, 16))
    assert campaign.report["screened"]["judged"] == 0
