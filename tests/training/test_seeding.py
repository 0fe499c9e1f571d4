"""Named streams: equal names, equal numbers, in every process; other names, other numbers."""

from __future__ import annotations

import subprocess
import sys

from gridrun.training.seeding import stream_seed


def test_names_differ_and_stay_the_same_in_another_process() -> None:
    names = [(0,), (1,), (0, "a"), (0, "a", 1), (0, "a", "1"), (0, "a1"), (0, "a", 11), (-1,)]
    seeds = [stream_seed(*name) for name in names]
    assert len(set(seeds)) == len(names)
    code = f"from gridrun.training.seeding import stream_seed; print([stream_seed(*n) for n in {names!r}])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
