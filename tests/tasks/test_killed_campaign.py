"""kill -9: a campaign whose two processes are killed again and again ends in the counts of one that never was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import programs
import pytest

PROGRAM = Path(programs.__file__).with_name("killed_campaign.py")


def kill_campaigns(folder: Path, n_kills: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(n_kills)],
        env=programs.environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("n_kills", [6, pytest.param(30, marks=pytest.mark.long)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_at_random_moments_it_computes_no_stored_block_again(tmp_path: Path, n_kills: int) -> None:
    told = kill_campaigns(tmp_path, n_kills)
    assert told["statuses"] == [0, 0] and told["counts"] == told["unbroken"]
    assert len({tuple(counts) for counts in told["counts"]}) > 5
    assert 0 < told["n_stored_by_the_killed"] < told["n_blocks"]  # the kills came while it ran

    begun = defaultdict(list)
    for at, pid, block in told["begun"]:
        begun[block].append((at, pid))
    assert len(begun) == told["n_blocks"]
    stored = {block: at for at, _, block in reversed(told["stored"])}
    assert all(at < stored[block] for block in stored for at, _ in begun[block])
    killed_at = {int(pid): at for pid, at in told["killed_at"].items()}
    for times in begun.values():  # again only after whoever had begun it was dead
        assert all(killed_at[pid] < again for (_, pid), (again, _) in zip(sorted(times), sorted(times)[1:]))
