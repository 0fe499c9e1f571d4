"""Campaigns as points: parts make up the whole, formats have their own golden run, nothing is computed twice."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import gridrun
from gridrun import Failed, UsageError
from gridrun.architectures import digits_cnn
from gridrun.faults.campaign import Campaign
from gridrun.faults.cells import by_cell
from gridrun.faults.fault_list import write
from gridrun.faults.injection import is_no_op, layer_shapes, stored_as
from gridrun.faults.naive import logits_of, naive_counts
from gridrun.faults.sampling import published
from gridrun.faults.verdicts import Counts, predictions
from gridrun.faults.weight_fault import WeightFault
from gridrun.tasks import campaign as engine
from gridrun.tasks import settings
from gridrun.tasks.fault_grid import campaigns, joined, joined_by, parts, published_results

TINY = {"n_epochs": [3, 0], "channels": [3, 4], "hidden": [8], "beta_robustness": 0.0}
IMAGES = 20


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture
def grid(store: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """A campaign of 64 faults; its network is trained once for all tests."""
    monkeypatch.setenv("GRIDRUN_SESSIONS", str(store))
    return campaigns(digits_cnn.make(**TINY), n_faults=1, images=IMAGES)


def found(grid: list[dict]) -> list[dict]:
    return gridrun.run(grid, "train", store_key="*")("{*}")


def trained() -> dict:
    return gridrun.run([digits_cnn.make(**TINY)], "train", store_key="*")("{*}")[0]


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "int8"])
def test_in_every_format_the_golden_run_is_that_of_the_network_stored_so(grid: list[dict], fmt: str) -> None:
    point = trained()
    model, (images, labels) = settings.trained(point), settings.splits(point).test
    images, labels, faults = images[:IMAGES], labels[:IMAGES], by_cell(layer_shapes(model), 1, fmt)
    before = copy.deepcopy(model.state_dict())
    with stored_as(model, fmt):
        golden = logits_of(model, images, 64)
        expected = list(naive_counts(model, images, faults, labels=labels, fmt=fmt))
        no_ops = [is_no_op(model, fault, fmt) for fault in faults]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(golden, logits_of(model, images, 64)) == (fmt == "fp32")
    network = engine.trained_network(point)
    assert torch.equal(engine._campaign(engine.NetworkKey(network), (0, IMAGES), fmt, "exact").golden, golden)
    campaign = joined(found(gridrun.configure(grid, {"fmt": fmt})))
    assert campaign.faults == faults and campaign.counts == expected and campaign.is_no_op == no_ops
    assert campaign.accuracy == (predictions(golden) == labels).sum().item() / IMAGES


@pytest.mark.usefixtures("grid")
def test_the_golden_run_of_a_format_does_not_linger_in_the_next() -> None:
    network = engine.trained_network(trained())
    key = engine.NetworkKey(network)
    first = engine._campaign(key, (0, IMAGES), "fp32", "exact").golden
    assert not torch.equal(first, engine._campaign(key, (0, IMAGES), "int8", "exact").golden)
    assert torch.equal(first, engine._campaign(key, (0, IMAGES), "fp32", "exact").golden)


def test_parts_make_up_the_whole_of_one_training(
    grid: list[dict], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BLOCK", 16)
    whole = joined(found(grid))
    trainings = sorted((store / "runs").iterdir())
    in_parts = joined(found(gridrun.split(grid, "part", parts(2))))
    assert sorted(zip(in_parts.faults, in_parts.counts)) == sorted(zip(whole.faults, whole.counts))
    assert in_parts.faults != whole.faults and in_parts.accuracy == whole.accuracy
    assert sorted((store / "runs").iterdir()) == trainings and len(trainings) == 1


def test_more_images_cost_only_the_new_ones(grid: list[dict], monkeypatch: pytest.MonkeyPatch) -> None:
    computed, real = [], engine._campaign

    def noted(key: engine.NetworkKey, images: tuple[int, int], fmt: str, arithmetic: str) -> Campaign:
        computed.append(images)
        return real(key, images, fmt, arithmetic)

    monkeypatch.setattr(engine, "_campaign", noted)
    monkeypatch.setattr(engine.blocks, "__defaults__", ("fp32", "exact", engine.BLOCK, IMAGES))
    first = joined(found(grid))
    more = joined(found(gridrun.configure(grid, {"images": 3 * IMAGES})))
    assert set(computed) <= {(0, 20), (20, 40), (40, 60)} and len(computed) == len(set(computed))
    assert {c.n_injections for c in first.counts} == {20} and {c.n_injections for c in more.counts} == {60}
    assert all(b.critical >= a.critical for a, b in zip(first.counts, more.counts, strict=True))


def test_stuck_at_faults_are_either_proven_or_the_flip(grid: list[dict]) -> None:
    kinds = joined_by(found(gridrun.split(grid, "kind", ["flip", "stuck0", "stuck1"])), "kind")
    flip, stuck0, stuck1 = (kinds[kind] for kind in ("flip", "stuck0", "stuck1"))
    assert not any(flip.is_no_op)
    assert all(a != b for a, b in zip(stuck0.is_no_op, stuck1.is_no_op, strict=True))
    for a, b, c, proven in zip(flip.counts, stuck0.counts, stuck1.counts, stuck0.is_no_op, strict=True):
        assert (c if proven else b) == a and (b if proven else c).masked == IMAGES
    proven = {kind: each.rates("all", "no_op")[""].rate for kind, each in kinds.items()}
    assert proven["flip"] == 0 < proven["stuck0"] < 1 and proven["stuck0"] + proven["stuck1"] == pytest.approx(1)
    rate = {kind: each.rates("all")[""].rate for kind, each in kinds.items()}
    assert rate["flip"] == pytest.approx(rate["stuck0"] + rate["stuck1"]) and rate["flip"] > 0


def test_shares_of_verdicts_add_up(grid: list[dict]) -> None:
    campaign = joined(found(grid))
    shares = campaign.verdicts()
    assert sum(shares.values()) == pytest.approx(100)
    by_layer = campaign.rates("layer")
    sizes = {layer: np.prod(shape) for layer, shape in campaign.shapes.items()}
    of_all = sum(by_layer[layer].rate * sizes[layer] for layer in sizes) / sum(sizes.values())
    assert shares["critical"] == pytest.approx(100 * of_all)


def test_rows_of_the_list_and_parts_without_any(grid: list[dict]) -> None:
    grid = gridrun.configure(grid, {"rows": "3:5", "faults": "published"})
    points = found(gridrun.split(grid, "part", parts(2)))
    campaign = joined(points)
    model = settings.trained(trained())
    assert campaign.faults == published(layer_shapes(model))[3:5] and len(points[1]["rows"]) == 0


def test_rows_of_a_list_by_cell_are_refused_before_anything_is_computed(grid: list[dict], store: Path) -> None:
    before = sorted(store.rglob("*"))
    with pytest.raises(UsageError, match="rows=0:5 with faults=cells: .* leave rows out") as refused:
        found(gridrun.configure(grid, {"rows": "0:5", "n_epochs": [1, 0]}))
    assert "Traceback" not in str(refused.value) and sorted(store.rglob("*")) == before


def test_published_results_are_those_of_the_same_faults(grid: list[dict], tmp_path: Path) -> None:
    points = found(gridrun.configure(grid, {"data_dir": str(tmp_path)}))
    ours = joined(points)
    assert published_results(points[0], ours) is None
    (tmp_path / "fault_lists").mkdir()
    theirs = [Counts(100, 50, 49, 1), Counts(100, 0, 0, 100)]
    elsewhere = WeightFault("dense.0", (0, 0), 29, "stuck0")
    write(tmp_path / "fault_lists" / "digits_cnn_FL.csv", [ours.faults[7], elsewhere], theirs)
    published = published_results(points[0], ours)
    assert published is not None and (published.faults, published.counts) == ([ours.faults[7]], theirs[:1])


def test_what_cannot_be_says_so(grid: list[dict]) -> None:
    with pytest.raises(UsageError, match="no setting 'fault'; there are network, faults"):
        campaigns(grid, fault="published")
    (failed,) = gridrun.run(gridrun.configure(grid, {"faults": "publishd"}), "train", on_error="store")("{*}")
    assert isinstance(failed, Failed) and "want cells or published" in failed.message
