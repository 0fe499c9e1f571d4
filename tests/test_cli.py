"""What every command shares: exit statuses, one-line errors, quick help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_study import PAGE, TinyStudy

from gridrun import cli

ROOT = Path(__file__).parents[1]
ONE_LETTER = {"accuracy": {"-n", "-d", "-b"}}  # the published benchmark's own


def test_the_exit_status_is_0_only_if_every_point_is_done(study: TinyStudy) -> None:
    assert study.run("train.py", "-exp=waves").status == 0
    failed = study.run("train.py", "-exp=waves", "-level=bad")
    assert failed.status == 1
    assert "no measurement at a bad level" in failed.err
    assert study.run("train.py", "-exp=waves", "-level=0.2").status == 0


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["train.py", "-exp=wave"], "did you mean 'waves'?"),
        (["make_figures.py", "-exp=rock"], "did you mean 'rocks'?"),
        (["trian"], "did you mean 'train'?"),
        (["train.py", "-exp=waves", "-sead=1"], "did you mean 'seed'?"),
        (["train.py", "-exp=waves", "-forse"], "did you mean 'force'?"),
        (["status", "-exp=wave"], "did you mean 'waves'?"),
        (["train.py", "-mode=lokal", "--dry-run"], "did you mean 'local'?"),
    ],
)
def test_a_typing_error_exits_2_and_suggests_the_near_name(study: TinyStudy, words: list[str], near: str) -> None:
    done = study.run(*words)
    assert (done.status, done.out) == (2, "")
    assert near in done.err and "Traceback" not in done.err
    assert study.calls() == []


def test_our_errors_are_one_line_and_others_keep_their_traceback(study: TinyStudy) -> None:
    study.write("waves", "def train_grid():\n    return 3\n\ndef visualize(): pass\n")
    ours = study.run("train", "-exp=waves")
    assert (ours.status, ours.err.count("\n")) == (2, 1)
    assert ours.err.startswith("gridrun: waves.train_grid() gives 3; a grid is")
    study.write("waves", PAGE.replace("grid = [{", "grid = 1 / 0 or [{"))
    theirs = study.run("train", "-exp=waves")
    assert theirs.status == 1
    assert "Traceback" in theirs.err and "ZeroDivisionError" in theirs.err


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_exits_130_keeps_what_is_done_and_leaves_no_orphans(study: TinyStudy, n_threads: int) -> None:
    study.write(
        "waves", PAGE.replace("    return {", "    if point['seed']: __import__('time').sleep(60)\n    return {")
    )
    process = subprocess.Popen(
        study.command("train.py", "-exp=waves", f"-n_threads={n_threads}"),
        cwd=study.folder,
        env=study.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: sum("seed=1" in line for line in study.calls()) == n_threads)  # asleep; seed 0 is measured
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"interrupted: {n_threads} of 4 points are done and kept" in err and "Traceback" not in err
    assert f"{n_threads} cached" in study.run("train.py", "-exp=waves", "--dry-run").out
    wait_until(lambda: not is_running(process.pid))


def is_running(group: int) -> bool:
    """Whether any process of a group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("words", [["-exp=waves,rocks"], ["-exp=waves", "-exp", "rocks"], ["--exp", "waves,rocks"], []])
def test_experiments_are_named_by_commas_by_repeating_or_not_at_all(study: TinyStudy, words: list[str]) -> None:
    done = study.run("train.py", *words)
    assert done.status == 0
    assert sorted(line.split()[0] for line in study.calls()) == ["rocks"] * 4 + ["waves"] * 4


def test_a_study_is_found_from_a_folder_below_it_and_named_where_there_is_none(study: TinyStudy) -> None:
    assert study.run("train", "-exp=waves", within="experiments").status == 0
    assert (study.folder / "sessions").is_dir()
    (study.folder.parent / "elsewhere").mkdir()
    lost = study.run("train", "-exp=waves", within="../elsewhere")
    assert lost.status == 2 and "gridrun init FOLDER" in lost.err


def test_a_script_works_on_its_own_study_from_any_folder(study: TinyStudy) -> None:
    (study.folder.parent / "elsewhere").mkdir()
    assert study.run("../study/train.py", "-exp=waves", within="../elsewhere").status == 0
    assert len(list(study.folder.glob("sessions/segments/*"))) == 1


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_an_example_and_no_option_of_one_letter(name: str) -> None:
    command = cli.find(name)
    assert command.help and "Example" in (command.epilog or "")
    options = [option for param in command.params for option in param.opts if option.startswith("-")]
    assert {option for option in options if len(option.lstrip("-")) == 1} <= ONE_LETTER.get(name, set())


def test_with_everything_cached_train_imports_nothing_slow(study: TinyStudy) -> None:
    assert study.run("train.py").status == 0
    command = [sys.executable, "-X", "importtime", "train.py"]
    done = subprocess.run(
        command, cwd=study.folder, env=study.environment(), capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert loaded & {"torch", "pandas", "numpy", "joblib", "rich", "seaborn", "diskcache"} == set()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("gridrun tr", ["train"]),
        ("gridrun train -exp wa", ["waves"]),
        ("gridrun train -exp=ro", ["rocks"]),
        ("gridrun query --format j", ["json"]),
    ],
)
def test_the_shell_completes_commands_experiments_and_choices(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    monkeypatch.setenv("_GRIDRUN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    program = "import sys; sys.argv[0] = 'gridrun'; from gridrun.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=study.folder, env=study.environment(), capture_output=True, text=True
    )
    assert [line.split(",")[1] for line in done.stdout.split()] == offered
