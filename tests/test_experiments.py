"""The experiments of this repository at a tiny size: computed, drawn, and found again without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridrun import get
from gridrun.experiment import load, overridden

ROOT = Path(__file__).parents[1]
TINY = {"size": "demo", "seed": 0, "n_epochs": [1, 1], "n_attack_steps": 1, "n_repeats": 8, "channels": [4, 4]}
FLAGS = [f"-{key}={value}" for key, value in TINY.items()]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A copy of the quickstart's study, so that its figures land in the test's own folder."""
    (tmp_path / "experiments").mkdir()
    for name in ("experiments/mismatch_quickstart.py", "train.py", "make_figures.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def command(study: Path, name: str, *more: str) -> str:
    line = [sys.executable, *more, name, "-exp=mismatch_quickstart", "-n_threads=1", *FLAGS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=study, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_quickstart_is_trained_drawn_and_found_again_without_torch(study: Path) -> None:
    assert "5 computed" in command(study, "train.py")
    printed = command(study, "make_figures.py")
    assert all(f"Adversarial    {level}" in printed for level in (0.0, 0.1, 0.2, 0.3, 0.5, 0.7))
    drawn = sorted(p.suffix for p in (study / "figures").iterdir())
    assert drawn == [".csv", ".md", ".pdf", ".png", ".tex"]
    for name in ("train.py", "make_figures.py"):
        imported = command(study, name, "-X", "importtime")
        assert "gridrun" in imported
        assert " torch\n" not in imported


def test_the_quickstarts_grid_is_five_methods_of_three_seeds() -> None:
    experiment = load(ROOT, "mismatch_quickstart")
    grid = experiment.train_grid()
    methods = {(p["dropout_prob"], p["noisy_forward_std"], p["beta_robustness"]) for p in grid}
    assert len(grid) == 15
    assert methods == {(0, 0, 0), (0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.25), (0, 0.3, 0.25)}
    assert {(get(p, "n_attack_steps"), p["attack_size_mismatch"], get(p, "n_repeats")) for p in grid} == {
        (10, 0.1, 100)
    }


def test_one_key_makes_it_smaller() -> None:
    experiment = load(ROOT, "mismatch_quickstart")
    with overridden(experiment, {"size": "demo"}):
        small = experiment.train_grid()
    assert {tuple(get(p, "n_epochs")) for p in small} == {(18, 6)}
    assert len(small) == 15
