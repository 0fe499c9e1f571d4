"""`make demo`: its own commands, run in a copy of the tree."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parents[1]


def recipe(*scripts: str) -> list[list[str]]:
    """The commands of `make demo` that run these scripts, with this Python."""
    lines = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in lines.splitlines()]
    return [[sys.executable, *line[1:]] for line in words if len(line) > 1 and line[1] in scripts]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository, so that the demo's results and figures stay out of this one."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    left_out = ignore_patterns(".*", "sessions", "figures", "tests", "*.egg-info", "__pycache__")
    return copytree(ROOT, tmp_path / "gridrun", ignore=left_out)


def run(command: list[str], tree: Path) -> tuple[str, float]:
    """Run a command in a tree; its output and the processor seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_the_demo_trains_fifteen_networks_and_its_dry_run_is_quick(tree: Path) -> None:
    (train,) = recipe("train.py")
    output, seconds = run([*train, "--dry-run"], tree)
    assert "mismatch_quickstart: 15 points: 15 missing" in output
    assert seconds < 2


@pytest.mark.slow
def test_the_second_demo_finds_everything_stored(tree: Path) -> None:
    train, figures = recipe("train.py", "make_figures.py")
    assert "15 computed now" in run(train, tree)[0]
    assert "drew figures/mismatch_quickstart.png" in run(figures, tree)[0]
    output, seconds = run([train[0], "-X", "importtime", *train[1:]], tree)
    assert "15 points: 15 cached" in output
    assert not any(line.endswith("| torch") for line in output.splitlines())
    assert seconds < 1
    output, seconds = run(figures, tree)
    assert "drew figures/mismatch_quickstart.png" in output
    assert seconds < 5
