"""The engine's counts are the naive loop's on every architecture of the zoo, all kinds of faults, by the fast ways."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn

from gridrun.faults.campaign import Campaign
from gridrun.faults.injection import layer_shapes, stored_as
from gridrun.faults.naive import naive_counts
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo

N_IMAGES, BATCH_SIZE = 11, 4  # the last batch is shorter
STRIKES = [  # (bits, kind, mask) that change most weights: bit 30 of a small weight is 0, bits 27 to 29 are mostly 1
    ((30,), "flip", 0),
    ((27, 28, 29), "stuck0", 0),
    ((30,), "stuck1", 0),
    ((0,), "zero", 0),
    ((0, 1), "random", 0),
    ((0,), "flip", 0x4040_0000),
    ((0,), "stuck1", 0x0000_F00F),
    (tuple(range(32)), "flip", 0),
]
NARROW = [((bits[0] % 8,), kind, mask & 0x7F and 0x15) for bits, kind, mask in STRIKES]  # for words of 8 bits


def some_layers(model: nn.Module) -> list[str]:
    """The first, the last, two between, and the first depthwise one."""
    names = list(layer_shapes(model))
    depthwise = [name for name in names if getattr(model.get_submodule(name), "groups", 1) > 1]
    return list(
        dict.fromkeys([names[0], *depthwise[:1], names[len(names) // 3], names[2 * len(names) // 3], names[-1]])
    )


def faults_in(model: nn.Module, strikes: list[tuple[tuple[int, ...], str, int]]) -> list[WeightFault]:
    """Every strike once, in turn in each of some layers, at places drawn at random."""
    shapes, layers, draw = layer_shapes(model), some_layers(model), random.Random(0)
    return [
        WeightFault(layer, tuple(map(draw.randrange, shapes[layer])), draw.choice(bits), kind, mask)
        for n, (bits, kind, mask) in enumerate(strikes)
        for layer in [layers[n % len(layers)]]
    ]


def both_ways(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, images: Tensor, faults: list[WeightFault], fmt: str = "fp32"
) -> tuple[Campaign, list[Counts]]:
    """A campaign that may not take the naive loop, and its counts, which are that loop's."""
    labels = torch.arange(len(images)) % 10
    with monkeypatch.context() as without:
        without.setattr("gridrun.faults.campaign.naive_counts", None)  # to call it is a TypeError
        campaign = Campaign(model, images, labels, fmt=fmt, batch_size=BATCH_SIZE)
        found = dict(campaign.counts(faults))
    expected = list(naive_counts(model, images, faults, BATCH_SIZE, labels, fmt))
    assert [found[n] for n in range(len(faults))] == expected
    return campaign, expected


def images_of(shape: tuple[int, int, int]) -> Tensor:
    return torch.randn(N_IMAGES, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "dataset"), zoo.NETWORKS)
def test_every_network_by_the_fast_ways(name: str, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = zoo.small(name, dataset)
    faults = faults_in(model, STRIKES)
    campaign, counts = both_ways(monkeypatch, model, images_of(shape), faults)
    ways = campaign.report["layers"]
    assert "fall_back" not in campaign.report and set(ways) == {f.layer for f in faults}
    assert any("channels" in way for way in ways.values())
    assert any("whole layer" in way for way in ways.values())  # the dense layer's, at least
    assert any(c.critical for c in counts) and any(c.critical < N_IMAGES for c in counts)
    assert "MobileNet" not in name or any(
        model.get_submodule(layer).groups > 1 for layer in ways if "linear" not in layer
    )


@pytest.mark.parametrize(
    ("name", "fmt"), [("ResNet20", "fp16"), ("MobileNetV2", "bf16"), ("DenseNet121", "int8"), ("VGG11_bn", "fp16")]
)
def test_other_formats(name: str, fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = zoo.small(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with stored_as(model, fmt):
        campaign, counts = both_ways(monkeypatch, model, images_of(shape), faults_in(model, NARROW), fmt)
    assert "fall_back" not in campaign.report
    assert any(c.masked < N_IMAGES for c in counts)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
