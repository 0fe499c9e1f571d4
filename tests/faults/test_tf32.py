"""Which faults TF32 hides: by hand, and in the published campaign."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from gridrun.faults import fault_list
from gridrun.faults.comparison import Row
from gridrun.faults.tf32 import explained, is_hidden
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo


def with_weight(value: float) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(1, 1))
    nn.init.constant_(model[0].weight, value)
    return model


def test_a_flip_is_hidden_if_the_same_multiple_of_2_to_the_minus_10_is_nearest() -> None:
    for word in torch.randint(0x3F800000, 0x40000000, (40,), generator=torch.Generator().manual_seed(0)).tolist():
        for bit in range(23):
            clean, struck = word / 2**13, (word ^ 1 << bit) / 2**13
            by_hand = int(clean + 0.5) == int(struck + 0.5)  # positive numbers: to nearest, ties away
            value = torch.tensor(word, dtype=torch.int32).view(torch.float32).item()
            assert is_hidden(with_weight(value), [WeightFault("0", (0, 0), bit)]) == [by_hand]


def test_signs_and_exponents_are_never_hidden_and_stuck_at_the_present_bit_is() -> None:
    model = with_weight(-0.7)
    assert not any(is_hidden(model, [WeightFault("0", (0, 0), bit) for bit in range(23, 32)]))
    assert is_hidden(model, [WeightFault("0", (0, 0), 31, "stuck1"), WeightFault("0", (0, 0), 31, "stuck0")]) == [
        True,
        False,
    ]
    with pytest.raises(ValueError, match="index"):
        is_hidden(model, [WeightFault("0", (1, 0), 3)])


def test_only_rows_that_differ_and_are_all_masked_there_are_explained() -> None:
    faults = [WeightFault("fc", (i, 0), 3) for i in range(4)]
    ours, all_masked, some = Counts(9, 4, 5, 0), Counts(9, 9, 0, 0), Counts(9, 5, 4, 0)
    rows = [
        Row(faults[0], ours, all_masked),
        Row(faults[1], ours, some),
        Row(faults[2], all_masked, all_masked),
        Row(faults[3], ours, all_masked),
    ]
    assert explained(rows, faults[:3]) == rows[:1]


@pytest.mark.data
def test_in_the_published_campaign_all_faults_of_layer3_that_tf32_hides_are_masked() -> None:
    data = Path(os.environ["GRIDRUN_DATA"])
    model = zoo.load_weights(zoo.network("ResNet20", "cifar10"), data / "weights" / "ResNet20.th")
    listed = fault_list.read(data / "fault_lists" / "ResNet20_FL.csv", fault_list.layer_shapes(model))
    assert listed.counts is not None
    found = zip(listed.faults, listed.counts, is_hidden(model, listed.faults))
    hidden = [(fault.layer.split(".")[0], counts) for fault, counts, hides in found if hides]
    layer3 = [counts for layer, counts in hidden if layer == "layer3"]
    assert len(layer3) == 4721 and all(counts.masked == counts.n_injections == 10_000 for counts in layer3)
    others = [counts.masked == 10_000 for layer, counts in hidden if layer != "layer3"]
    assert (len(others), sum(others)) == (1539, 92)  # the other layers ran without TF32
