"""Each fault judged on images of its own: the verdicts are those of the naive loop on these images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gridrun.faults import pair_layers, pairs
from gridrun.faults.injection import injected, layer_shapes, stored_as
from gridrun.faults.naive import logits_of
from gridrun.faults.pairs import Pairs
from gridrun.faults.verdicts import Counts, counts
from gridrun.faults.weight_fault import WeightFault

from .small_networks import NETWORKS, Branches, Shared, Skip, images, made
from .test_campaign import drawn


def by_naive_loop(
    model: nn.Module, x: Tensor, faults: list[WeightFault], chosen: Tensor, batch_size: int, fmt: str = "fp32"
) -> list[Counts]:
    """Every fault on all images in their batches; then only the rows that were chosen are judged."""
    golden, labels, found = logits_of(model, x, batch_size), torch.arange(len(x)) % 6, []
    for fault, row in zip(faults, chosen):
        with injected(model, fault, fmt):
            logits = logits_of(model, x, batch_size)
        found.append(counts(golden[row], logits[row], labels[row]))
    return found


def subset(n_faults: int, m: int, n_images: int, seed: int = 2) -> Tensor:
    """Images of each fault, (faults, m), some of them named twice."""
    return torch.randint(n_images, (n_faults, m), generator=torch.Generator().manual_seed(seed))


def assert_as_naive(
    model: nn.Module, x: Tensor, faults: list[WeightFault], m: int, batch_size: int, fmt: str = "fp32"
) -> Pairs:
    judge = Pairs(model, x, torch.arange(len(x)) % 6, batch_size=batch_size, fmt=fmt)
    for seed in (2, 3):  # the second time golden logits are known
        chosen = subset(len(faults), m, len(x), seed)
        assert judge.counts(faults, chosen) == by_naive_loop(model, x, faults, chosen, batch_size, fmt)
    return judge


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("n_images", "batch_size", "m"), [(48, 16, 1), (45, 16, 5), (34, 16, 3), (9, 2, 4), (3, 16, 2)]
)
def test_verdicts_are_those_of_the_naive_loop(
    network: Callable[[], nn.Module], n_images: int, batch_size: int, m: int
) -> None:
    model = made(network)
    assert_as_naive(model, images(n_images), drawn(model, 24), m, batch_size)


@pytest.mark.parametrize("network", [Skip, Branches])
@pytest.mark.parametrize("bit", [0, 29, 30, 31])
def test_faults_that_give_nan_and_infinity(network: Callable[[], nn.Module], bit: int) -> None:
    model = made(network)
    x = images(45)
    x[3] = float("nan")
    judge = assert_as_naive(model, x, drawn(model, 30, ["flip", "stuck1"], [bit]), 4, 16)
    assert judge.sizes


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "int8"])
def test_other_formats(fmt: str) -> None:
    model = made(Skip)
    with stored_as(model, fmt):
        assert_as_naive(model, images(36), drawn(model, 20, bits=range(8)), 3, 16, fmt)


@pytest.mark.parametrize("name", ["ResNet20", "MobileNetV2", "GoogLeNet"])
def test_small_forms_of_published_networks(name: str) -> None:
    from gridrun.nn import zoo

    model, shape = zoo.small(name)
    x = torch.randn(19, *shape, generator=torch.Generator().manual_seed(0))
    judge = assert_as_naive(model, x, drawn(model, 14), 3, 8)
    assert judge.sizes and "channels" in judge.report["layers"].values()


def test_many_images_in_chunks_of_little_memory() -> None:
    model, x = made(Skip), images(300)
    faults, chosen = drawn(model, 60, ["flip"]), subset(60, 7, 300)
    little, much = Pairs(model, x, batch_size=16, memory_mb=0.5), Pairs(model, x, batch_size=16)
    assert little.tested.report["images_at_once"] < 100 < much.tested.report["images_at_once"]
    assert little.counts(faults, chosen) == much.counts(faults, chosen)


@pytest.mark.parametrize("x", [images(40).to(memory_format=torch.channels_last), images(80)[::2], images(40).flip(3)])
def test_layouts_of_images(x: Tensor) -> None:
    model = made(Skip)
    assert_as_naive(model, x, drawn(model, 15), 3, 16)
    assert_as_naive(model.to(memory_format=torch.channels_last), x, drawn(model, 15), 3, 16)


def test_all_images_are_a_campaign() -> None:
    from gridrun.faults.campaign import Campaign

    model, x = made(Branches), images(40)
    faults, labels = drawn(model, 25), torch.arange(40) % 6
    whole = dict(Campaign(model, x, labels, batch_size=16).counts(faults))
    found = Pairs(model, x, labels, batch_size=16).counts(faults, torch.arange(40).expand(25, -1))
    assert found == [whole[n] for n in range(25)]


class Shifted(nn.Module):
    """A constant that every image of a suffix is added to, and the end of a chain, too."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.shift, self.head = nn.Parameter(torch.zeros(1, 4, 1, 1)), nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        return self.head((self.two(self.one(images).relu()) + self.shift).relu().mean((2, 3)))


def test_constants_of_a_network() -> None:
    model = made(Shifted)
    assert assert_as_naive(model, images(45), drawn(model, 30, ["flip"], [30]), 6, 16).sizes


def test_the_report_says_how() -> None:
    model = made(Shared)
    judge = assert_as_naive(model, images(32), drawn(model, 20), 2, 16)
    assert judge.report["layers"]["again"] == "fault by fault" and judge.report["layers"]["head"] == "whole layer"
    assert judge.report["batches"] and judge.report["threads"] == torch.get_num_threads()


def test_without_the_self_tests_consent_the_verdicts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = made(Skip), images(40)
    faults = drawn(model, 20)
    monkeypatch.setattr(pair_layers, "channel_widths", lambda *_: [])
    assert set(assert_as_naive(model, x, faults, 3, 16).report["layers"].values()) == {"whole layer"}
    monkeypatch.setattr(pair_layers, "suffix_is_golden", lambda *_: False)
    assert set(assert_as_naive(model, x, faults, 3, 16).report["layers"].values()) == {"fault by fault"}
    monkeypatch.setattr(pairs, "safe_sizes", lambda *_: ((), []))
    assert "naive" in assert_as_naive(model, x, faults, 3, 16).report["batches"]


def test_only_images_that_are_used_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = made(Skip), images(1000)
    judge = Pairs(model, x, batch_size=16)
    judge.counts(drawn(model, 4, ["flip"], [30]), subset(4, 2, 1000))
    assert 1 <= int(judge.is_known.sum()) <= 8


def test_no_faults_and_wrong_images() -> None:
    model = made(Skip)
    judge, (fault,) = Pairs(model, images(20), batch_size=16), drawn(model, 1)
    assert judge.counts([], torch.zeros(0, 3)) == []
    with pytest.raises(ValueError, match="no image 20: there are 20"):
        judge.counts([fault], [[3, 20]])
    with pytest.raises(ValueError, match=r"shape \(2, 1\) for 1 faults"):
        judge.counts([fault], [[3], [4]])
    with pytest.raises(ValueError, match="no layer 'nowhere'"):
        judge.counts([WeightFault("nowhere", (0, 0), 1)], [[0]])


def test_the_model_keeps_its_bits_and_its_mode() -> None:
    model = made(Shared).train()
    before = [t.clone() for t in (*model.parameters(), *model.buffers())]
    Pairs(model, images(20), batch_size=16).counts(drawn(model, 20), subset(20, 2, 20))
    assert all(torch.equal(a, b) for a, b in zip(before, (*model.parameters(), *model.buffers()))) and model.training


@pytest.mark.data
@pytest.mark.long
def test_resnet20_on_images_of_the_first_and_the_last_batch() -> None:
    from gridrun import data
    from gridrun.nn import zoo

    folder = Path(os.environ["GRIDRUN_DATA"])
    model = zoo.load_weights(zoo.network("ResNet20", "cifar10"), folder / "weights" / "ResNet20.th")
    x = data.test_images("cifar10", folder)[0][9900:].clone()
    faults = drawn(model, 12, ["flip"], [22, 28, 30, 31])
    assert len(layer_shapes(model)) == 20
    judge = assert_as_naive(model, x, faults, 6, 64)
    assert judge.sizes == (4, 8, 16, 32, 64) and bool(judge.is_alone.all())
