"""The engine's counts are those of the naive loop, whatever the network, the faults and the images."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gridrun.faults import fault_list, plan, selftest
from gridrun.faults.bits import KINDS
from gridrun.faults.campaign import Campaign
from gridrun.faults.injection import layer_shapes, stored_as
from gridrun.faults.naive import naive_counts
from gridrun.faults.weight_fault import WeightFault

from .small_networks import NETWORKS, Branches, Shared, Skip, Untraceable, images, made

ALL_BITS = tuple(range(32))


def drawn(model: nn.Module, n: int, kinds: Iterable[str] = KINDS, bits: Iterable[int] = ALL_BITS) -> list[WeightFault]:
    """n faults, in layers, places, bits and kinds drawn at random."""
    draw, shapes = random.Random(0), layer_shapes(model)
    kinds, bits = tuple(kinds), tuple(bits)
    layers = draw.choices(list(shapes), k=n)
    return [
        WeightFault(layer, tuple(draw.randrange(d) for d in shapes[layer]), draw.choice(bits), draw.choice(kinds))
        for layer in layers
    ]


def assert_equal_to_naive(model: nn.Module, x: Tensor, faults: list[WeightFault], **options: int) -> Campaign:
    labels = torch.arange(len(x)) % 6
    campaign = Campaign(model, x, labels, **options)
    found = dict(campaign.counts(faults))
    batch_size = options.get("batch_size", 64)
    expected = naive_counts(model, x, faults, batch_size, labels)
    assert [found[i] for i in range(len(faults))] == list(expected)
    return campaign


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("n_images", "batch_size"), [(48, 16), (45, 16), (34, 16), (9, 2)])
def test_counts_are_those_of_the_naive_loop(network: Callable[[], nn.Module], n_images: int, batch_size: int) -> None:
    model = made(network)
    assert_equal_to_naive(model, images(n_images), drawn(model, 40), batch_size=batch_size)


@pytest.mark.parametrize("network", [Skip, Branches])
@pytest.mark.parametrize("bit", [0, 22, 29, 30, 31])
def test_faults_that_give_nan_and_infinity(network: Callable[[], nn.Module], bit: int) -> None:
    model = made(network)
    faults = drawn(model, 30, ["flip", "stuck1"], [bit])
    assert_equal_to_naive(model, images(21), faults, batch_size=16)


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "int8"])
def test_other_formats(fmt: str) -> None:
    model, x = made(Skip), images(20)
    faults = drawn(model, 25, bits=range(8))
    with stored_as(model, fmt):
        found = dict(Campaign(model, x, fmt=fmt, batch_size=16).counts(faults))
        expected = naive_counts(model, x, faults, 16, fmt=fmt)
        assert [found[i] for i in range(len(faults))] == list(expected)


@pytest.mark.parametrize(
    ("network", "fmt", "is_written"),
    [(Skip, "fp32", False), (Skip, "int8", False), (Shared, "bf16", False), (Untraceable, "fp32", True)]
    + [(Untraceable, "fp16", True)],
)
def test_an_interrupted_campaign_gives_the_model_its_bits_back(
    network: Callable[[], nn.Module], fmt: str, is_written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = made(network), images(20)
    own = state(model)

    def interrupted(*given: Tensor) -> Tensor:
        written.append(not same(state(model), rounded))
        if len(written) == 2:
            raise KeyboardInterrupt
        return linear(*given)

    with stored_as(model, fmt):
        written, rounded, linear = [], state(model), nn.functional.linear
        campaign = Campaign(model, x, fmt=fmt)
        monkeypatch.setattr(nn.functional, "linear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(campaign.counts(drawn(model, 10, ["flip"], [6])))
        assert written == [False, is_written]  # only the naive loop writes into the model, after its golden run
        assert same(state(model), rounded)
    assert same(state(model), own)


def state(model: nn.Module) -> list[Tensor]:
    return [t.clone() for t in (*model.parameters(), *model.buffers())]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(left, right) for left, right in zip(a, b, strict=True))


def test_a_golden_nan_is_never_masked() -> None:
    model, x = made(Skip), images(20)
    x[3] = float("nan")
    campaign = assert_equal_to_naive(model, x, drawn(model, 20), batch_size=16)
    assert all(counts.masked <= 19 for _, counts in campaign.counts(drawn(model, 20)))


@pytest.mark.parametrize(
    "x", [images(20).to(memory_format=torch.channels_last), images(40)[::2], images(20).expand(20, 3, 8, 8).flip(3)]
)
def test_layouts_of_images(x: Tensor) -> None:
    model = made(Skip)
    assert_equal_to_naive(model, x, drawn(model, 20), batch_size=16)
    assert_equal_to_naive(model.to(memory_format=torch.channels_last), x, drawn(model, 20), batch_size=16)


def test_the_report_says_which_way_each_layer_went() -> None:
    model = made(Skip)
    layers = assert_equal_to_naive(model, images(32), drawn(model, 40), batch_size=16).report["layers"]
    assert layers["two"] == "channels" and layers["head"] == "whole layer"
    model = made(Shared)
    layers = assert_equal_to_naive(model, images(32), drawn(model, 40), batch_size=16).report["layers"]
    assert "read by 2 steps" in layers["again"] and "read by 2 steps" in layers["one"]
    assert "torch.fx cannot trace it" in Campaign(made(Untraceable), images(8)).report["fall_back"]


def test_without_the_self_tests_consent_the_counts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = made(Branches), images(40)
    faults = drawn(model, 30)
    monkeypatch.setattr(plan, "channel_widths", lambda *_: [])
    layers = assert_equal_to_naive(model, x, faults, batch_size=16).report["layers"]
    assert set(layers.values()) == {"whole layer"}
    monkeypatch.setattr(plan, "changed_steps", lambda graph, *_: set(graph.nodes))
    layers = assert_equal_to_naive(model, x, faults, batch_size=16).report["layers"]
    assert all("naive batches" in way for way in layers.values())
    monkeypatch.setattr("gridrun.faults.campaign.same_as_model", lambda *_: False)
    assert "naive loop" in assert_equal_to_naive(model, x, faults, batch_size=16).report["fall_back"]


def test_the_self_test_sees_bits_that_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, real = made(Skip), selftest.GoldenWalk.of

    def of(walk: selftest.GoldenWalk, node: object, batch: int) -> object:
        value = real(walk, node, batch)
        return value + 1e-3 if str(node) == "model_two" and len(walk.batches[batch]) and len(value) == 8 else value

    monkeypatch.setattr(selftest.GoldenWalk, "of", of)
    graph = Campaign(model, images(16), batch_size=16).planner.graph
    assert [str(node) for node in selftest.changed_steps(graph, images(16), 8)] == ["model_two"]


def test_the_model_keeps_its_bits_and_its_mode() -> None:
    model, x = made(Branches).train(), images(20)
    before = [t.clone() for t in (*model.parameters(), *model.buffers())]
    campaign = Campaign(model, x)
    running = campaign.counts(drawn(model, 20))
    next(running)
    running.close()
    with pytest.raises(ValueError, match="no layer 'nowhere'"):
        list(campaign.counts([WeightFault("nowhere", (0, 0), 1)]))
    assert all(torch.equal(a, b) for a, b in zip(before, (*model.parameters(), *model.buffers())))
    assert model.training and model.dropout.training


def test_a_stuck_at_the_present_bit_needs_no_inference() -> None:
    model = made(Skip)
    faults = [f for f in drawn(model, 200, ["stuck0", "stuck1"]) if f.layer == "two"]
    campaign = Campaign(model, images(16))
    with torch.no_grad():
        masked = [n for n, counts in campaign.counts(faults) if counts.masked == 16]
    zeros = [n for n, f in enumerate(faults) if f.kind == "stuck0" and not _bit(model.two.weight, f)]
    assert zeros and set(zeros) <= set(masked)


def _bit(weight: Tensor, fault: WeightFault) -> int:
    return int(weight.detach().view(torch.int32)[fault.index]) >> fault.bit & 1


class LargestSum(TorchDispatchMode):
    """The most bytes that tensors made meanwhile took at once (each storage counted until it is freed).

    given: its memory was there before.
    """

    def __init__(self, given: Tensor) -> None:
        super().__init__()
        self.given = given.untyped_storage().data_ptr()
        self.alive: dict[int, tuple[object, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        import weakref

        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                storage = tensor.untyped_storage()
                if storage.data_ptr() == self.given:
                    continue
                self.alive[storage.data_ptr()] = (weakref.ref(tensor), storage.nbytes())
        self.alive = {k: v for k, v in self.alive.items() if v[0]() is not None}
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return result


def test_golden_values_stay_within_the_memory_given() -> None:
    model, x = made(Skip), images(1200)
    faults = drawn(model, 12, ["flip"])
    most = {}
    for memory_mb in (1.0, 1000.0):
        campaign = Campaign(model, x, batch_size=16, memory_mb=memory_mb)
        with LargestSum(campaign.images) as used:
            found = dict(campaign.counts(faults))
        most[memory_mb] = (used.most, campaign.report["images_at_once"], found)
    assert most[1.0][2] == most[1000.0][2]
    assert most[1.0][1] < most[1000.0][1] and most[1.0][0] < 1.5e6 < most[1000.0][0]


@pytest.mark.data
def test_a_sample_of_the_published_list() -> None:
    from gridrun import data
    from gridrun.nn import zoo

    folder = Path(os.environ["GRIDRUN_DATA"])
    model = zoo.load_weights(zoo.network("ResNet20"), folder / "weights" / "ResNet20.th")
    x, labels = data.test_images("cifar10", folder)
    x, labels = x[:100], labels[:100]
    faults = fault_list.read(folder / "fault_lists" / "ResNet20_FL.csv").faults[::830]
    campaign = Campaign(model, x, labels)
    found = dict(campaign.counts(faults))
    expected = list(naive_counts(model, x, faults, 64, labels))
    assert [found[n] for n in range(len(faults))] == expected
    assert {c.critical for c in expected if c.critical} and expected[0].correct > 85  # images as it was trained with
    assert set(campaign.report["layers"].values()) <= {"channels", "whole layer"}
