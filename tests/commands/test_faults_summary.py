"""gridrun faults summary, as a user types it."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gridrun import cli
from gridrun.faults.fault_list import to_text
from gridrun.faults.intervals import wilson
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault

FAULTS = [WeightFault("conv", (0, 0, 0, n), bit) for n in range(2) for bit in (3, 30)] + [WeightFault("fc", (1, 1), 30)]
COUNTS = [Counts(10, 10, 0, 0), Counts(10, 0, 0, 10), Counts(10, 4, 6, 0), Counts(10, 0, 0, 10), Counts(10, 0, 10, 0)]
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    monkeypatch.chdir(tmp_path)
    Path("out.csv").write_text(to_text(FAULTS, COUNTS))
    Path("list.csv").write_text(to_text(FAULTS))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gridrun", "faults", "summary", *words])
        status = cli.status_of(cli.app, "gridrun", tmp_path)
        return (status, *capsys.readouterr())

    return run


def test_layers_by_hand(typed: Typed) -> None:
    status, out, _ = typed("out.csv", "--format=csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0 and [row["layer"] for row in rows] == ["conv", "fc", "all"]
    assert [float(rows[0][f"{name}_%"]) for name in ("masked", "non_critical", "critical")] == [35, 15, 50]
    assert [float(rows[2][f"{name}_%"]) for name in ("masked", "non_critical", "critical")] == [28, 32, 40]
    pooled = wilson(20, 40)
    assert float(rows[0]["low_%"]) < 100 * pooled[0] < 50 < 100 * pooled[1] < float(rows[0]["high_%"])


def test_bits_from_the_highest_and_several_keys(typed: Typed) -> None:
    rows = json.loads(typed("out.csv", "--by=bit", "--format=json")[1])
    assert [(row["bit"], row["faults"]) for row in rows] == [(30, 3), (3, 2), ("all", 5)]
    rows = json.loads(typed("out.csv", "--by=layer,bit", "--format=json")[1])
    assert [(row["layer"], row.get("bit")) for row in rows] == [("conv", 30), ("fc", 30), ("conv", 3), ("all", None)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out.csv", "--by=bits"], "did you mean 'bit'?"),
        (["out.csv", "--confidence=99"], "between 0 and 1"),
        (["list.csv"], "has no results"),
        (["nothing.csv"], "does not exist"),
    ],
)
def test_a_typing_error_is_told(typed: Typed, words: list[str], message: str) -> None:
    status, out, err = typed(*words)
    assert (status, out) == (2, "") and message in err
