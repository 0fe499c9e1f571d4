"""Fault lists drawn: the published ones to the byte, the others by counting."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resnet_shapes import resnet

from gridrun.faults.bits import KINDS
from gridrun.faults.fault_list import FAULT, layer_shapes, read, to_text
from gridrun.faults.sampling import (
    by_layer_and_bits,
    exhaustive,
    n_weights,
    per_bit,
    per_layer,
    published,
    sample_size,
    stratified,
    t_of,
)
from gridrun.faults.strata import strata_of
from gridrun.faults.weight_fault import WeightFault, problem
from gridrun.nn.zoo import network

SMALL = {"conv": (4, 3, 3, 3), "fc": (10, 8)}


@pytest.mark.parametrize(
    ("name", "dataset", "shapes"),
    [
        ("ResNet20", "cifar10", resnet(20)),
        ("ResNet32", "cifar10", resnet(32)),
        ("ResNet44", "cifar10", resnet(44)),
        ("ResNet20", "gtsrb", resnet(20, 43)),
    ],
)
def test_the_shapes_of_the_zoo_are_those_by_hand(name: str, dataset: str, shapes: dict) -> None:
    assert list(layer_shapes(network(name, dataset)).items()) == list(shapes.items())


@pytest.mark.parametrize(
    ("shapes", "n", "sha256"),
    [
        (resnet(32), 16_630, "c3f0371d6768af3ebc349ecbffe9666aab2a7594ec594a0f4027c38beaa81ba6"),
        (resnet(44), 16_634, "902eeee6cdacbab6ea7f940b61d7ad1e717b1286971b237638c5027c35de3e5c"),
        (resnet(20, 43), 16_629, "19d14a9ca431f248d5fbf77cdebd566d475c41d590aad901e219e8d682d8850a"),
    ],
    ids=["ResNet32", "ResNet44", "GTSRB ResNet20"],
)
def test_the_published_lists_to_the_byte(shapes: dict, n: int, sha256: str) -> None:
    faults = published(shapes)
    assert len(faults) == n
    assert hashlib.sha256(to_text(faults).encode()).hexdigest() == sha256


@pytest.mark.data
def test_the_published_list_of_resnet20_but_for_its_hand_edited_row() -> None:
    shapes = resnet(20)
    theirs = read(Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv", shapes)
    ours = published(shapes)
    assert n_weights(shapes) == 268_336 and len(ours) == 16_627
    assert [i for i, (a, b) in enumerate(zip(ours, theirs.faults, strict=True)) if a != b] == [2]
    assert ours[2] == WeightFault("conv1", (13, 0, 0, 0), 13)
    assert theirs.faults[2] == WeightFault("conv1", (13, 0, 0, 0), 30)
    assert theirs.numbers == list(range(16_627))


def test_sample_size_against_the_table_of_the_field() -> None:
    assert sample_size(64 * 268_336) == 16_625  # ResNet20
    assert sample_size(10**12) == 16_641 == round((2.58 / 0.02) ** 2)  # an endless population
    assert sample_size(10**12, error=0.05, t=1.96) == 384
    assert sample_size(1) == 1
    assert (t_of(0.99), t_of(0.95), t_of(0.90)) == (2.58, 1.96, 1.64)


@pytest.mark.parametrize("wrong", [{"population": 0}, {"error": 0.0}, {"error": 1.5}, {"t": 0.0}, {"p": 1.0}])
def test_a_sample_that_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="want N >= 1"):
        sample_size(**{"population": 100, **wrong})
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_of(99)


shapes_of_layers = st.dictionaries(
    st.sampled_from(["a", "b.0", "c"]), st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(shapes_of_layers, st.integers(0, 10**6), st.sampled_from([0.01, 0.05, 0.3]))
def test_every_sampler_gives_different_faults_that_exist_and_the_same_for_the_same_seed(
    shapes: dict, seed: int, error: float
) -> None:
    for sampler in (published, per_layer, per_bit, by_layer_and_bits):
        faults = sampler(shapes, seed, error)
        assert len(set(faults)) == len(faults) > 0
        assert {problem(fault, shapes) for fault in faults} == {""}
        assert sampler(shapes, seed, error) == faults


def test_per_layer_and_per_bit_take_the_sample_size_of_each() -> None:
    layers = Counter(fault.layer for fault in per_layer(SMALL, error=0.05, kinds=("stuck0", "stuck1")))
    assert layers == {"conv": sample_size(64 * 108, 0.05), "fc": sample_size(64 * 80, 0.05)}
    bits = Counter(fault.bit for fault in per_bit(SMALL, error=0.05))
    assert bits == dict.fromkeys(range(32), sample_size(188, 0.05))


def test_per_layer_is_uniform_over_bits_and_kinds() -> None:
    faults = per_layer({"conv": (64, 64, 3, 3)}, kinds=KINDS[:3])
    for values in (Counter(f.bit for f in faults), Counter(f.kind for f in faults)):
        wanted = len(faults) / len(values)
        assert max(abs(n - wanted) for n in values.values()) < 5 * math.sqrt(wanted)


def test_a_longer_stratified_list_begins_with_the_shorter_and_strata_do_not_disturb_each_other() -> None:
    strata = strata_of(SMALL)
    few = stratified(strata, dict.fromkeys(strata, 5), seed=1)
    many = stratified(strata, {"bits 30": 50, "bits 0-22": 5}, seed=1)
    assert many[:5] == few[:5] and many[50:] == few[10:]
    assert len(stratified(strata, {"bits 30": 10**9})) == 188  # all there are
    with pytest.raises(ValueError, match="no strata bits 29"):
        stratified(strata, {"bits 29": 3})


def test_the_stratified_list_asks_bit_30_most_and_leaves_no_stratum_out() -> None:
    faults = by_layer_and_bits(resnet(20), error=0.002)
    assert len(faults) < 2_000
    share = Counter(fault.bit == 30 for fault in faults)[True] / len(faults)
    assert share > 0.3
    assert all(n >= 30 for n in Counter(fault.layer for fault in faults).values())


def test_exhaustive_is_every_fault_once_and_knows_its_limit() -> None:
    every = exhaustive({"fc": (2, 3)}, bits=(0, 31), kinds=("stuck0", "stuck1"))
    assert len(every) == len(set(every)) == 6 * 2 * 2
    assert {fault.bit for fault in every} == {0, 31} and {fault.kind for fault in every} == {"stuck0", "stuck1"}
    with pytest.raises(ValueError, match="8,586,752 faults"):
        exhaustive(resnet(20))


def test_a_layer_too_small_for_its_share_is_listed_whole() -> None:
    faults = published({"tiny": (1, 2)})
    assert sorted(faults) == sorted(exhaustive({"tiny": (1, 2)}))
    assert to_text(faults).startswith(",".join(FAULT))
