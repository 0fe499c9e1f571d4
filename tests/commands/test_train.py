"""gridrun train: settings, dry runs, forced runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_study import PAGE, TinyStudy

from gridrun.architectures import ARCHITECTURES, cnn
from gridrun.cli import app


def test_a_second_run_computes_nothing(study: TinyStudy) -> None:
    assert "waves: 4 points: 4 computed now" in study.run("train", "-exp=waves").out
    assert study.run("train", "-exp=waves").out == "waves: 4 points: 4 cached\n"
    assert len(study.calls()) == 4


def test_the_dry_run_tells_missing_cached_failed_and_stale_and_computes_nothing(study: TinyStudy) -> None:
    assert "waves: 4 points: 4 missing" in study.run("train", "-exp=waves", "--dry-run").out
    assert study.calls() == []
    study.run("train", "-exp=waves", "-seed=0")
    half = study.run("train", "-exp=waves", "--dry-run")
    assert half.status == 0
    assert "waves: 4 points: 2 cached, 2 missing" in half.out
    study.run("train", "-exp=waves", "-level=bad", "-seed=0")
    assert "waves: 1 point: 1 failed" in study.run("train", "-exp=waves", "-level=bad", "-seed=0", "--dry-run").out
    study.write("waves", PAGE.replace("1 - point", "2 - point"))
    stale = study.run("train", "-exp=waves", "-seed=0", "--dry-run").out
    assert "waves: 2 points: 2 stale" in stale and "waves_measure" in stale
    assert len(study.calls()) == 3


def test_the_dry_run_lists_ten_points_or_all(study: TinyStudy) -> None:
    study.write("waves", PAGE.replace('"seed", [0, 1]', '"seed", range(20)'))
    short = study.run("train", "-exp=waves", "--dry-run").out
    assert "... and 30 more: --all lists them" in short
    assert study.run("train", "-exp=waves", "--dry-run", "--all").out.count("missing ") == 40


@pytest.mark.parametrize("words", [["-seed=7"], ["--seed=7"], ["-seed", "7"]])
def test_a_setting_sets_its_key_on_every_point_and_equal_points_are_one(study: TinyStudy, words: list[str]) -> None:
    assert "waves: 2 points: 2 computed now" in study.run("train", "-exp=waves", *words).out
    assert sorted(study.calls()) == ["waves level=0.1 seed=7", "waves level=0.2 seed=7"]


def test_force_computes_again(study: TinyStudy) -> None:
    study.run("train", "-exp=waves", "-seed=0")
    assert study.run("train", "-exp=waves", "-seed=0", "-force").status == 0
    assert len(study.calls()) == 4


def test_one_failure_does_not_stop_the_others(study: TinyStudy) -> None:
    study.write("waves", PAGE.replace('"level", [0.1, 0.2]', '"level", [0.1, "bad", 0.2]'))
    done = study.run("train", "-exp=waves", "-n_threads=2")
    assert done.status == 1
    assert "waves: 6 points: 4 computed now, 2 failed" in done.out.replace(" (0.0 s)", "").replace(" (0.1 s)", "")
    assert "level=bad seed=1: ValueError: no measurement at a bad level" in done.err


def test_a_class_of_the_module_s_name_is_an_experiment_too(study: TinyStudy) -> None:
    functions, _, rest = PAGE.partition("def train_grid")
    body = "    @staticmethod\n    def train_grid" + rest.replace("\n", "\n    ").replace(
        "train_grid(),", "NAME.train_grid(),"
    )
    study.write(
        "waves",
        functions + "class NAME:\n" + body.replace("    def visualize", "    @staticmethod\n    def visualize"),
    )
    assert study.run("train", "-exp=waves", "-seed=3").status == 0
    assert study.run("figures", "-exp=waves", "-seed=3").status == 0
    assert (study.folder / "figures" / "waves.txt").read_text() == "[0.6, 0.19999999999999996]"


@pytest.mark.parametrize("page", ["", "def train_grid(): return []\n", "def visualize(): pass\n"])
def test_a_page_without_its_functions_is_named(study: TinyStudy, page: str) -> None:
    study.write("waves", page)
    done = study.run("train", "-exp=waves")
    assert done.status == 2 and "experiments/waves.py needs" in done.err


def test_an_exit_in_a_page_does_not_pass_for_success(study: TinyStudy) -> None:
    study.write("waves", PAGE.replace("grid = [{", "grid = exit(0) or [{"))
    done = study.run("train", "-exp=waves")
    assert done.status == 2 and "waves.train_grid() called exit()" in done.err
    study.write("waves", "exit(0)\n")
    assert study.run("train", "-exp=waves").status == 2
    assert study.run("figures", "-exp=waves").status == 1


def test_an_empty_name_is_not_taken_for_all(study: TinyStudy) -> None:
    done = study.run("train", "-exp=")
    assert done.status == 2 and "names no experiment" in done.err


def test_an_empty_grid_is_done(study: TinyStudy) -> None:
    study.write("waves", "def train_grid(): return []\n\ndef visualize(): pass\n")
    assert study.run("train", "-exp=waves").out == "waves: 0 points\n"


def test_a_thousand_failures_are_told_in_twenty_lines(study: TinyStudy) -> None:
    study.write("waves", PAGE.replace('"level", [0.1, 0.2]', '"level", ["bad"]').replace("[0, 1]", "range(1000)"))
    done = study.run("train", "-exp=waves")
    assert done.status == 1 and "1000 failed" in done.out
    assert done.err.count("no measurement at a bad level") == 20
    assert "... and 980 more: --dry-run --all lists them" in done.err


@pytest.mark.parametrize("words", [["--keys", "cnn"], ["--keys=cnn"], ["-keys=cnn"]])
def test_every_key_of_an_architecture_is_told_with_its_default(study: TinyStudy, words: list[str]) -> None:
    told = study.run("train", *words)
    lines = told.out.splitlines()
    assert told.status == 0 and lines[0].startswith("cnn: The CNN of the ICLR 2022 paper")
    rows = [line for line in lines[3:] if line]
    assert [row.split()[0] for row in rows] == list(cnn.defaults)
    for row, (key, default, words_of) in zip(rows, cnn.settings()):
        assert " ".join(row.split()) == f"{key} {default} {words_of}"
    assert study.calls() == []


def test_without_a_name_the_architectures_are_told_and_an_unknown_one_gets_the_nearest(study: TinyStudy) -> None:
    told = study.run("train", "--keys")
    assert [line.split()[0] for line in told.out.splitlines()[1:]] == list(ARCHITECTURES)
    wrong = study.run("train", "--keys", "ecg_lsn")
    assert wrong.status == 2 and "no architecture 'ecg_lsn'; did you mean 'ecg_lsnn'?" in wrong.err


def test_the_keys_are_told_outside_a_study_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["train", "--keys", "resnet32"], obj=tmp_path)
    assert told.exit_code == 0 and "clipping_alpha" in told.output


def test_a_misspelt_key_names_the_nearest(study: TinyStudy) -> None:
    wrong = study.run("train", "-exp=waves", "-sed=3")
    assert wrong.status == 2 and "'seed'" in wrong.err
    assert study.calls() == []
