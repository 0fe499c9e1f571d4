"""gridrun faults summary, as a user types it."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from resnet_shapes import resnet

from gridrun import cli
from gridrun.faults.fault_list import to_text
from gridrun.faults.intervals import wilson
from gridrun.faults.sampling import published, stratified
from gridrun.faults.strata import BITS, WeightBits
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


def test_a_list_with_a_bit_too_often_says_so_and_weighs_the_networks_rate(typed: Typed) -> None:
    strata = {f"{name} {group}": WeightBits({name: s}, BITS[group]) for name, s in resnet(20).items() for group in BITS}
    faults = stratified(strata, dict.fromkeys(strata, 4))
    counts = [Counts(10, 0, 5 if f.bit == 30 else 10, 5 if f.bit == 30 else 0) for f in faults]
    Path("out.csv").write_text(to_text(faults, counts))
    _, out, err = typed("out.csv")
    note = "note: rates of these faults, not of the network: bit 30 is 33 % of the list, 3 % of the network's faults"
    assert out.splitlines()[-1] == note and err == ""
    lines = typed("out.csv", "-n", "resnet20", "--confidence=.95")[1].splitlines()
    assert lines[-2].startswith(f"{note}, layer conv1 is 5 %")
    assert lines[-1].startswith("critical rate of the network 1.56 %, ")  # 50 % of 1 bit of 32
    assert lines[-1].endswith(" % at 95 %, weighted by layer and bits")
    _, out, err = typed("out.csv", "--format=csv")
    assert "note" not in out and err.startswith(note)


def test_a_list_in_proportion_needs_no_note(typed: Typed) -> None:
    faults = published(resnet(20), error=0.1)
    Path("out.csv").write_text(to_text(faults, [Counts(10, 10, 0, 0)] * len(faults)))
    _, out, err = typed("out.csv", "-n", "ResNet20")
    assert "note" not in out + err and "of the network" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out.csv", "--by=bits"], "did you mean 'bit'?"),
        (["out.csv", "--confidence=99"], "between 0 and 1"),
        (["list.csv"], "has no results"),
        (["out.csv", "-n", "ResNet21"], "no network 'ResNet21'"),
        (["nothing.csv"], "does not exist"),
    ],
)
def test_a_typing_error_is_told(typed: Typed, words: list[str], message: str) -> None:
    status, out, err = typed(*words)
    assert (status, out) == (2, "") and message in err
