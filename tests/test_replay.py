"""Rows of the published campaign again: which rows, and what is said of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from resnet_shapes import resnet

from benchmarks.replay import NAMED, Row, chosen, replayed, verdict
from gridrun.faults.sampling import published
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault


def test_the_rows_are_spread_over_all_layers_and_groups_of_bits() -> None:
    faults = published(resnet(20))
    rows = chosen(faults, seed=0)
    assert len(rows) == len(set(rows)) > 92 and set(NAMED) < set(rows)
    assert sum(faults[n].bit == 30 for n in rows) > 25
    assert {faults[n].layer for n in rows} == set(resnet(20))
    for bits in (range(20, 26), range(26, 32), range(20)):
        assert len({faults[n].layer for n in rows if faults[n].bit in bits}) == 20
    assert chosen(faults, seed=0) == rows != chosen(faults, seed=1)


def row(bit: int, ours: int, theirs: int, layer: str = "layer3.0.conv1", is_unseen: bool = False) -> Row:
    counts = [
        Counts(10_000, masked, 10_000 - masked - critical, critical) for masked, critical in [(5, ours), (7, theirs)]
    ]
    return Row(0, WeightFault(layer, (0, 0, 0, 0), bit), *counts, is_unseen)


def test_near_is_within_two_and_within_one_on_bit_30() -> None:
    near = [row(30, 8970, 8971), row(29, 4, 2)]
    assert verdict(near)[0].startswith("Every row is as near as promised")
    assert verdict(near)[1:3] == [
        "- 2 rows: critical equal on 0, within 1 on 1, within 2 on 2.",
        "- 1 rows of bit 30: apart by 1 at most.",
    ]
    for far in (row(30, 2, 0), row(29, 3, 0)):
        assert verdict([*near, far])[0].startswith("**Not every row is near**")


@pytest.mark.long
@pytest.mark.data
def test_bit_30_of_the_last_convolution_on_all_images() -> None:
    rows, how = replayed(Path(os.environ["GRIDRUN_DATA"]), lambda faults: [15050, 15482])
    assert [row.theirs.critical for row in rows] == [8965, 8971] and how["ways"] == "channels"
    assert all(row.is_near and abs(row.ours.masked - row.theirs.masked) < 100 for row in rows)
