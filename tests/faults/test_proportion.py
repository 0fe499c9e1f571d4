"""Lists that are drawn in proportion are told from those that are not, and the network's rate is found from both."""

from __future__ import annotations

import random

import pytest
from resnet_shapes import resnet

from gridrun.faults.cells import by_cell
from gridrun.faults.proportion import network_rate, uneven
from gridrun.faults.sampling import by_layer_and_bits, exhaustive, per_bit, per_layer, published
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import Shapes, WeightFault

SMALL: Shapes = {"conv": (4, 3, 3, 3), "fc": (10, 30)}


def critical(fault: WeightFault) -> int:
    """Of 8 images: bit 30 is critical for all in `conv` and for half in `fc`."""
    return (8 if fault.layer == "conv" else 4) * (fault.bit == 30)


def counted(faults: list[WeightFault]) -> list[Counts]:
    return [Counts(8, 0, 8 - critical(fault), critical(fault)) for fault in faults]


@pytest.mark.parametrize("seed", range(5))
def test_published_draws_and_all_faults_are_in_proportion(seed: int) -> None:
    for error in (0.02, 0.1, 0.2):
        faults = published(resnet(20), seed, error)
        assert uneven(faults) == uneven(faults, resnet(20)) == ""
    assert uneven(exhaustive(SMALL), SMALL) == ""


def test_what_is_out_of_proportion_is_named() -> None:
    shapes = resnet(20)
    bits, layers = "bit 30 is 33 % of the list, 3 % of the network's faults", "layer conv1 is 5 % of the list, 0.2 %"
    strata = by_layer_and_bits(shapes, error=0.05)
    assert uneven(strata) == bits and uneven(strata, shapes).startswith(f"{bits}, {layers}")
    by_layer, by_bit = per_layer(shapes, error=0.05), per_bit(shapes, error=0.2, bits=(29, 30))
    assert uneven(by_layer) == "" and uneven(by_layer, shapes).startswith(layers)
    assert uneven(by_bit) == uneven(by_bit, shapes) != ""
    assert uneven(published(shapes)[:100], shapes).startswith("layer layer1.0.conv1 is 73 % of the list, 0.9 % of")
    half = [WeightFault("fc", (i, 0), bit) for i in range(9) for bit in range(16)]
    assert uneven(half, fmt="fp16") == "" and uneven(half, fmt="fp32") != ""
    words = [WeightFault("fc", (i % 10, i // 10), 0, "zero") for i in range(99)]
    assert uneven(words) == ""  # a whole word has no bit


@pytest.mark.parametrize(
    "faults",
    [
        by_layer_and_bits(SMALL, error=0.01),
        per_layer(SMALL, error=0.02),
        by_cell(SMALL, 40),
        exhaustive(SMALL),
        by_layer_and_bits(SMALL, error=0.01, kinds=("stuck0", "stuck1")),
    ],
    ids=["strata", "layer", "cell", "all", "two kinds"],
)
def test_the_networks_rate_from_lists_of_other_proportions(faults: list[WeightFault]) -> None:
    truth = (108 * 1 + 300 * 0.5) / (408 * 32)  # by hand: weights of a layer times the rate of its bit 30
    found = network_rate(faults, counted(faults), SMALL)
    assert found is not None and found.low - 1e-9 <= truth <= found.high + 1e-9
    assert found.rate == pytest.approx(truth)
    assert (found.high - found.low < 1e-9) == (len(faults) == 408 * 32)  # nothing is left to doubt
    of_the_list = sum(map(critical, faults)) / 8 / len(faults)
    if uneven(faults):
        assert of_the_list > 1.5 * found.rate


def test_a_list_that_cannot_tell_the_networks_rate() -> None:
    strata = by_layer_and_bits(SMALL, error=0.01)
    no_30 = [fault for fault in strata if (fault.layer, fault.bit) != ("fc", 30)]
    one = random.Random(0).choice([fault for fault in strata if fault not in no_30])
    only_27 = [fault for fault in by_cell(SMALL, 40) if fault.bit in (30, 27) or fault.bit < 23]
    words = [WeightFault("fc", (0, i), 0, "zero") for i in range(9)]
    for faults in (no_30, [*no_30, one], only_27, words, [*strata, WeightFault("fc", (0, 0), 0, "flip", 3)]):
        assert network_rate(faults, counted(faults), SMALL) is None
