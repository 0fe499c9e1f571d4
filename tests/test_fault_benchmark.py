"""The benchmark of fault campaigns measures what it says. Nothing here is timed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks import faults as benchmark
from benchmarks.fault_ways import OURS, PEERS, WAYS
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault


def network() -> nn.Module:
    """A convolution of 3x3 from 1 to 2 channels, without padding, and a dense layer of 18 to 4."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(18, 4)).eval()


FAULTS = [WeightFault("0", (1, 0, 2, 2), 30), WeightFault("2", (3, 5), 31), WeightFault("0", (0, 0, 1, 1), 3)]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_counts_of_the_naive_loop(way: str) -> None:
    images, labels = torch.randn(150, 1, 5, 5), torch.arange(150) % 4
    expected = WAYS["naive loop"](network(), images, labels, FAULTS)
    assert sum(counts.critical for counts in expected) > 50
    assert WAYS[way](network(), images, labels, FAULTS) == expected


def test_multiplications_by_hand() -> None:
    setup = (network(), torch.randn(64, 1, 5, 5), torch.zeros(64, dtype=torch.long))
    one = 2 * 9 * 9 + 18 * 4  # a map of 3x3 in two channels; the dense layer
    assert benchmark.multiplications("naive loop", setup, FAULTS) == one * (len(FAULTS) + 1) / len(FAULTS)  # golden run


def test_agreement_tells_other_counts() -> None:
    naive = [Counts(10, 4, 4, 2), Counts(10, 10, 0, 0)]
    found = [Counts(10, 3, 4, 3), Counts(10, 9, 1, 0)]
    for way in (*PEERS, benchmark.EXACT):
        assert benchmark.agreement(way, [*naive, naive[0]], naive, naive) == "as naive"
        assert benchmark.agreement(way, found, naive, naive) == "**not as naive**"
    assert benchmark.agreement("gridrun, fused", found, naive, naive) == "critical apart by 1 at most from exact"


def test_the_page_by_hand() -> None:
    ways = {
        "naive loop": benchmark.Measured([1000.0, 2000.0, 1000.0], 40e6, "as naive"),
        "gridrun, exact": benchmark.Measured([5000.0, 6000.0, 4000.0], 8e6, "as naive"),
    }
    text = benchmark.page(ways, 80e9, {"date": "today"})
    assert "- date: today\n" in text
    ratios = "4.0x (5.0, 3.0, 4.0)"
    assert f"| naive loop | 1,000 | 1.0x (1.0, 1.0, 1.0) | {ratios} | 4.5x | 40.00 | 50% | as naive |\n" in text
    assert f"| gridrun, exact | 5,000 | {ratios} |  |  | 8.00 | 50% | as naive |\n" in text


def test_ours_are_all_arithmetics() -> None:
    assert list(OURS) == ["gridrun, exact", "gridrun, screened", "gridrun, fused"]
