"""gridrun faults campaign, on the published network, list and images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_study import TinyStudy

from gridrun.commands.faults_campaign import rows_of
from gridrun.errors import UsageError
from gridrun.faults.fault_list import read

CAMPAIGN = ("faults", "campaign", "-n", "ResNet20", "-d", "cifar10", "--images", "100")


def data() -> Path:
    return Path(os.environ["GRIDRUN_DATA"])


@pytest.mark.data
def test_a_campaign_is_kept_and_gone_on_with(study: TinyStudy) -> None:
    published = data() / "fault_lists" / "ResNet20_FL.csv"
    words = (*CAMPAIGN, "--fault-list", str(published), "-o", "out.csv")
    done = study.run(*words, "--rows", "2:4")
    assert done.status == 0, done.err
    assert "2 faults x 100 images" in done.out and "faults as clusters" in done.out
    first, wanted = read(study.folder / "out.csv"), read(published)
    assert first.faults == wanted.faults[2:4] and first.numbers == [2, 3]
    assert first.counts is not None and first.counts[0].critical > 80  # bit 30 of the first layer
    results = list((study.folder / "sessions").rglob("*.npy"))
    again = study.run(*words, "--rows", "2:4")
    assert again.status == 0 and read(study.folder / "out.csv").counts == first.counts
    assert list((study.folder / "sessions").rglob("*.npy")) == results


@pytest.mark.data
def test_a_bad_list_is_one_error_that_names_its_rows(study: TinyStudy) -> None:
    bad = ["Injection,Layer,TensorIndex,Bit", "0,conv1,\"(99, 0, 0, 0)\",3", "1,conv1,\"(0, 0, 0, 0)\",32"]
    (study.folder / "bad.csv").write_text("\n".join(bad))
    done = study.run(*CAMPAIGN, "--fault-list", "bad.csv")
    assert done.status != 0 and "line 2" in done.err and "line 3" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("text", ["7", "a:b", "5:5", "9:"])
def test_rows_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--rows"):
        rows_of(text, 9)
