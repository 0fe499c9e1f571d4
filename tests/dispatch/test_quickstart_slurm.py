"""The first experiment, trained on a real Slurm and drawn from there; and trained here, the same to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from tiny_study import ROOT

pytestmark = pytest.mark.slurm
DEMO = ("-exp=mismatch_quickstart", "-size=demo", "-seed=0")
THERE = ("-mode=slurm", "-launch=mem_gb=0.9,timeout_min=10")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    left_out = ignore_patterns(".*", "sessions", "figures", "tests", "*.egg-info", "__pycache__")
    return copytree(ROOT, tmp_path / "gridrun", ignore=left_out)


def run(tree: Path, *words: str, **variables: str) -> str:
    """A command in a tree; what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(tree), **variables}
    done = subprocess.run(
        [sys.executable, *words], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_quickstart_on_slurm_equals_a_local_run_key_by_key(tree: Path) -> None:
    run(tree, "train.py", *DEMO, *THERE, "--wait")
    submitted = set((tree / "sessions" / "jobs").iterdir())
    assert "nothing to submit" in run(tree, "train.py", *DEMO, *THERE)
    assert set((tree / "sessions" / "jobs").iterdir()) == submitted
    run(tree, "make_figures.py", *DEMO)
    assert (tree / "figures" / "mismatch_quickstart.png").stat().st_size > 10_000
    local = tree / "local"
    run(tree, "train.py", *DEMO, "-n_threads=2", GRIDRUN_SESSIONS=str(local))
    ids = sorted(folder.name for folder in (local / "runs").iterdir())
    assert len(ids) == 5 and ids == sorted(folder.name for folder in (tree / "sessions" / "runs").iterdir())
    for id in ids:
        for name in ("weights.safetensors", "metrics.json"):
            here, there = (folder / "runs" / id / name for folder in (local, tree / "sessions"))
            assert here.read_bytes() == there.read_bytes(), (id, name)
