"""gridrun faults estimate, on a small network and images of noise in place of the published ones."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faults.small_networks import Skip, made
from faults.small_networks import images as noise

from gridrun import cli
from gridrun.faults.injection import injected
from gridrun.faults.pairs import Pairs
from gridrun.faults.strata import strata_of
from gridrun.faults.weight_fault import WeightFault

Typed = Callable[..., "tuple[int, str, str]"]
ESTIMATE = ("-n", "ResNet20", "--weights=any.th", "--images=40", "--half-width=.06", "--confidence=.9")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list, np.ndarray]]:
    """What the engine is asked: (faults, images) of each block. The network is a small one, the images are noise."""
    model, images = made(Skip), noise(45)
    monkeypatch.setattr("gridrun.nn.zoo.network", lambda name, dataset: model)
    monkeypatch.setattr("gridrun.nn.zoo.load_weights", lambda model, file: model)
    monkeypatch.setattr("gridrun.data.test_images", lambda name, data_dir: (images, torch.arange(45) % 10))
    monkeypatch.chdir(tmp_path)
    Path("any.th").write_bytes(b"not read")
    seen: list[tuple[list, np.ndarray]] = []
    real = Pairs.counts

    def counts(judge: Pairs, faults: list, images: np.ndarray) -> list:
        seen.append((faults, images))
        return real(judge, faults, images)

    monkeypatch.setattr(Pairs, "counts", counts)
    return seen


@pytest.fixture
def typed(calls: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Exit status, output and errors of `gridrun faults estimate WORDS`."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["gridrun", "faults", "estimate", *words])
        capsys.readouterr()
        status = cli.status_of(cli.app, "gridrun", tmp_path)
        return status, *capsys.readouterr()

    return run


def result(file: str = "out.json") -> dict[str, Any]:
    found = json.loads(Path(file).read_text())
    del found["seconds"]
    return found


def test_the_rate_is_found_and_kept(typed: Typed, calls: list) -> None:
    status, out, err = typed(*ESTIMATE, "-o", "out.json")
    assert status == 0, err
    found = result()
    assert found["half_width"] <= 0.06 and found["low"] <= found["rate"] <= found["high"]
    *_, price, answer = out.strip().splitlines()
    assert price.startswith(f"{found['n_faults']:,} faults, {found['n_inferences']:,} inferences (")
    assert answer.startswith(f"critical rate {100 * found['rate']:.2f} %, ") and "at 90 %" in answer
    assert "stratum" in out and "bits 23-29, 31" in out
    assert found["network"]["weights_id"] and found["arithmetic"]["layers"]["two"] == "channels"
    assert [look["look"] for look in found["looks"]] == list(range(len(found["looks"]))) and len(found["looks"]) > 1
    assert sum(len(faults) * images.shape[1] for faults, images in calls) == found["n_inferences"]
    assert sum(row["faults"] for row in found["strata"]) == found["n_faults"]


def test_the_rate_by_hand(typed: Typed, calls: list) -> None:
    """The naive loop on every pair that was asked for; the strata's rates, weighed by their sizes."""
    assert typed(*ESTIMATE, "--layers=stem,head", "-o", "out.json")[0] == 0
    strata = {name: set(faults) for name, faults in strata_of({"stem": (8, 3, 3, 3), "head": (6, 8)}).items()}
    by_fault: dict[WeightFault, list[bool]] = {}
    model, images = made(Skip), noise(45)
    golden = model(images).argmax(1)
    for faults, chosen in calls:
        for fault, row in zip(faults, chosen):
            with injected(model, fault):
                by_fault.setdefault(fault, []).extend((model(images).argmax(1) != golden)[row].tolist())
    total, rate = sum(map(len, strata.values())), 0.0
    for faults in strata.values():
        rate += len(faults) / total * np.mean([np.mean(found) for fault, found in by_fault.items() if fault in faults])
    assert result()["rate"] == pytest.approx(rate) and rate > 0.01


def test_killed_and_gone_on_with_it_finds_the_same(
    typed: Typed, calls: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert typed(*ESTIMATE, "-o", "whole.json")[0] == 0
    n_blocks, real = len(calls), Pairs.counts
    monkeypatch.setenv("GRIDRUN_SESSIONS", str(tmp_path / "others"))

    def interrupted(judge: Pairs, *asked: Any) -> list:
        if len(calls) == n_blocks + 5:
            raise KeyboardInterrupt
        return real(judge, *asked)

    monkeypatch.setattr(Pairs, "counts", interrupted)
    status, _, err = typed(*ESTIMATE, "-o", "out.json")
    assert status == 130 and "kept" in err and not Path("out.json").exists()
    monkeypatch.setattr(Pairs, "counts", real)
    assert typed(*ESTIMATE, "-o", "out.json")[0] == 0
    assert len(calls) == 2 * n_blocks  # no block was measured again
    assert result() == result("whole.json")


def test_what_is_stored_is_not_measured_again(typed: Typed, calls: list) -> None:
    _, first, _ = typed(*ESTIMATE)
    n_first = len(calls)
    _, second, _ = typed(*ESTIMATE)
    assert len(calls) == n_first and first.splitlines()[-1] == second.splitlines()[-1]
    assert typed(*ESTIMATE[:-2], "--half-width=.01", "--confidence=.9")[0] == 0
    asked = [(fault, int(i)) for faults, images in calls for fault, row in zip(faults, images) for i in row]
    assert len(asked) == len(set(asked)) and len(calls) > n_first
    typed(*ESTIMATE, "--seed=1")
    assert len({faults[0] for faults, _ in calls[n_first:]} - {faults[0] for faults, _ in calls[:n_first]}) > 0


def test_both_stuck_at_kinds_other_formats_and_tables(typed: Typed, calls: list) -> None:
    words = (*ESTIMATE, "--layers=t*,one", "--kinds=stuck0,stuck1", "--format=bf16", "--table=csv")
    status, out, err = typed(*words)
    assert status == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["stratum"] for row in rows} >= {"bits 14, stuck0", "bits 14, stuck1"} and len(rows) == 6
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1) and "critical rate" in err
    assert {fault.layer for faults, _ in calls for fault in faults} == {"one", "two"}
    assert {fault.bit for faults, _ in calls for fault in faults} <= set(range(16))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-n", "ResNet21"], "no network 'ResNet21'"),
        (["-n", "ResNet20", "--half-width=0"], "--half-width=0: want a number between 0 and 1"),
        (["-n", "ResNet20", "--confidence=99"], "--confidence=99"),
        (["-n", "ResNet20", "--weights=any.th", "--kinds=flop"], "did you mean 'flip'?"),
        (["-n", "ResNet20", "--format=fp8"], "no number format 'fp8'"),
        (["-n", "ResNet20", "--weights=any.th", "--layers=head,tow*"], "no layer 'tow*'"),
        (["-n", "ResNet20", "--data-dir=nowhere"], "no weights of ResNet20"),
        (["-n", "ResNet20", "-o", "nowhere/out.json"], "there is no folder"),
    ],
)
def test_a_typing_error_is_one_line_and_exits_2(typed: Typed, calls: list, words: list[str], message: str) -> None:
    status, out, err = typed(*words)
    assert (status, out, calls) == (2, "", []) and message in err and err.count("\n") == 1


@pytest.mark.data
@pytest.mark.long
def test_the_published_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """To +-2 points here; docs/fault_statistics.md has it to +-.2."""
    words = ["-n", "ResNet20", "--half-width=.02", "-o", "out.json"]
    monkeypatch.setattr("sys.argv", ["gridrun", "faults", "estimate", *words])
    monkeypatch.chdir(tmp_path)
    assert cli.status_of(cli.app, "gridrun", tmp_path) == 0
    found = json.loads(Path("out.json").read_text())
    assert found["half_width"] <= 0.02 and found["low"] <= 0.0128 <= found["high"]
    assert set(found["arithmetic"]["layers"].values()) <= {"channels", "whole layer"}
