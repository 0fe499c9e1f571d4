"""gridrun faults compare -n NETWORK: how many masked counts TF32 explains."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_study import TinyStudy

from gridrun.faults.fault_list import read, write
from gridrun.faults.verdicts import Counts


@pytest.mark.data
def test_the_masked_counts_that_tf32_explains_are_told(study: TinyStudy) -> None:
    """Of 200 rows of layer3 a float32 run would find none masked: only those that TF32 hides are explained."""
    published = Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv"
    listed = read(published)
    assert listed.counts is not None
    chosen = [n for n, fault in enumerate(listed.faults) if fault.layer == "layer3.1.conv1"][:200]
    theirs = [listed.counts[n] for n in chosen]
    ours = [Counts(n, 0, n - critical, critical) for n, _, _, critical, *_ in theirs]
    write(study.folder / "out.csv", [listed.faults[n] for n in chosen], ours, chosen)
    done = study.run("faults", "compare", "out.csv", str(published), "-n", "ResNet20")
    n_hidden = sum(listed.faults[n].bit < 12 and listed.counts[n].masked == 10_000 for n in chosen)
    n_unequal = sum(counts.masked > 0 for counts in theirs)
    (line,) = [line for line in done.out.splitlines() if line.startswith("TF32")]
    explained, unequal = int(line.split()[2]), int(line.split()[4])
    assert unequal == n_unequal and 0.8 * n_hidden <= explained <= n_unequal
    assert done.status == 0 and explained > 50


@pytest.mark.data
def test_a_network_without_weights_is_one_line(study: TinyStudy) -> None:
    published = str(Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv")
    done = study.run("faults", "compare", published, published, "-n", "ResNet32")
    assert done.status == 2 and "no weights of ResNet32" in done.err and "Traceback" not in done.err
