"""Lists by layer and bit, and the rates that are put together from them."""

from __future__ import annotations

import pytest

from gridrun.faults import cells
from gridrun.faults.sampling import exhaustive
from gridrun.faults.weight_fault import WeightFault

SHAPES = {"conv": (2, 1, 3, 3), "fc": (3, 2)}


def critical(fault: WeightFault) -> int:
    """Of 10 images, by a rule that differs between layers and bits."""
    return {30: 9, 31: 4}.get(fault.bit, 0) + (fault.layer == "fc" and fault.index == (0, 0))


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "int8"])
def test_the_groups_hold_each_bit_of_the_word_once(fmt: str) -> None:
    groups = cells.bit_groups(fmt)
    n_bits = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8}[fmt]
    assert sorted(bit for bits in groups.values() for bit in bits) == list(range(n_bits))
    assert all(bit in groups[cells.group_of(bit, fmt)] for bit in range(n_bits))
    assert all(0 <= fault.bit < n_bits for fault in cells.by_cell(SHAPES, 3, fmt))


def test_every_cell_is_asked_and_a_longer_list_keeps_the_shorter() -> None:
    short, long = set(cells.by_cell(SHAPES, 3)), cells.by_cell(SHAPES, 5)
    assert len(short) == 2 * (9 * 3 + 7 + 16) and short < set(long) and len(set(long)) == len(long)
    places = [(f.layer, f.index, f.bit) for f in cells.by_cell(SHAPES, 3, kind="stuck0")]
    assert places == [(f.layer, f.index, f.bit) for f in cells.by_cell(SHAPES, 3)]


def test_a_small_cell_gives_all_it_has() -> None:
    found = cells.by_cell({"fc": (3, 2)}, 10**6)
    assert sorted(found) == sorted(exhaustive({"fc": (3, 2)}))


@pytest.mark.parametrize("by", cells.BY)
@pytest.mark.parametrize("is_by_cell", [True, False])
def test_rates_of_all_faults_are_plain_means_without_doubt(by: str, is_by_cell: bool) -> None:
    faults = exhaustive(SHAPES)
    found = cells.rates(faults, [critical(f) for f in faults], [10] * len(faults), SHAPES, by, is_by_cell=is_by_cell)
    for key, rate in found.items():
        mine = [f for f in faults if by == "all" or key in (f.layer, _group(f), (f.layer, _group(f)))]
        expected = sum(map(critical, mine)) / (10 * len(mine))
        assert (rate.rate, rate.low, rate.high) == pytest.approx((expected,) * 3)
        assert rate.n_faults == len(mine)


def test_a_cell_counts_by_its_share_of_the_faults_and_not_of_the_list() -> None:
    faults = cells.by_cell(SHAPES, 6)  # bit 30: 12 of the 204 faults here, 1 of 32 in the network
    hits = [10 * (fault.bit == 30) for fault in faults]
    found = cells.rates(faults, hits, [10] * len(hits), SHAPES, "all")[""]
    pooled = cells.rates(faults, hits, [10] * len(hits), SHAPES, "all", is_by_cell=False)[""]
    assert found.rate == pytest.approx(1 / 32) and found.low <= 1 / 32 <= found.high
    assert pooled.rate == pytest.approx(sum(hits) / 10 / len(hits)) != pytest.approx(1 / 32)


def test_a_network_is_not_judged_by_cells_that_were_not_asked() -> None:
    faults = [fault for fault in cells.by_cell(SHAPES, 3) if fault.bit != 30]
    with pytest.raises(ValueError, match="no sample of stratum 'conv, bits 30'"):
        cells.rates(faults, [0] * len(faults), [10] * len(faults), SHAPES, "layer")
    assert ("conv", "30") not in cells.rates(faults, [0] * len(faults), [10] * len(faults), SHAPES, "cell")


def test_rates_by_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="by='bit'; there are layer, bits, cell, all"):
        cells.rates([], [], [], SHAPES, "bit")


def _group(fault: WeightFault) -> str:
    return cells.group_of(fault.bit)
