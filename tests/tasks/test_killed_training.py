"""kill -9: a training that is killed again and again ends in the bits of one that never was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import programs
import pytest

PROGRAM = Path(programs.__file__).with_name("killed_training.py")


def kill_trainings(folder: Path, n_epochs: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(n_epochs)],
        env=programs.environment(GRIDRUN_CHECKPOINT_S="0"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def metrics_by_step(log: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """The metrics of each epoch; one that was logged twice was the same twice."""
    epochs: dict[int, dict[str, float]] = {}
    for line in log:
        if "step" in line:
            metrics = {key: value for key, value in line.items() if key != "seconds"}
            assert epochs.setdefault(line["step"], metrics) == metrics
    return epochs


@pytest.mark.parametrize("n_epochs", [3, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_at_random_moments_it_loses_no_step_and_ends_in_the_same_bits(tmp_path: Path, n_epochs: int) -> None:
    told = kill_trainings(tmp_path, n_epochs)
    begun, killed, unbroken = [steps for steps in told["begun"] if steps], told["killed"], told["unbroken"]

    assert len(begun) > n_epochs / 6  # the kills had come to trainings
    assert all(steps == list(range(steps[0], steps[-1] + 1)) for steps in begun)
    assert begun[0][0] == 0
    assert all(after[0] - before[-1] in (0, 1) for before, after in pairwise(begun))  # only a step that was not over
    assert [line for line in killed["log"] if "checkpoint_ignored" in line] == []

    assert metrics_by_step(killed["log"]) == metrics_by_step(unbroken["log"])
    for what in ("weights", "metrics", "names"):
        assert killed[what] == unbroken[what]
