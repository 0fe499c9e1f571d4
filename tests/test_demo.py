"""`make demo`: its own commands, run in a copy of the tree."""

from __future__ import annotations

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


def run(command: list[str], tree: Path) -> str:
    """Run a command in a tree; what it says."""
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def imported(command: list[str], tree: Path) -> set[str]:
    """The modules that a command imports."""
    lines = run([command[0], "-X", "importtime", *command[1:]], tree).splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_the_demo_trains_fifteen_networks_and_its_dry_run_needs_no_torch(tree: Path) -> None:
    (train,) = recipe("train.py")
    assert "mismatch_quickstart: 15 points: 15 missing" in run([*train, "--dry-run"], tree)
    assert "torch" not in imported([*train, "--dry-run"], tree)


@pytest.mark.slow
def test_the_second_demo_finds_everything_stored(tree: Path) -> None:
    train, figures = recipe("train.py", "make_figures.py")
    assert "15 computed now" in run(train, tree)
    assert "drew figures/mismatch_quickstart.png" in run(figures, tree)
    assert "15 points: 15 cached" in run(train, tree)
    assert "drew figures/mismatch_quickstart.png" in run(figures, tree)
    assert not {"torch"} & (imported(train, tree) | imported(figures, tree))
