"""Starting a measurement in a fresh process, under one clean environment for all tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .row import Measured, Row

ROOT = Path(__file__).parents[1]
# A pycache that may not be written would be compiled anew in every process; a store of the user's is not to be touched.
LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "GRIDRUN_SESSIONS", "GRIDRUN_FSYNC")
TIMEOUT_S = 1200


def environment(**more: str) -> dict[str, str]:
    """The variables of a measured process."""
    return {**{k: v for k, v in os.environ.items() if k not in LEFT_OUT}, **more}


def measure(step: str, row: Row, tool: str, folder: Path) -> Measured:
    """What one process measured; {"failed": last line of its error} if it ended without an answer."""
    hits_only = {"BENCHMARK_HITS_ONLY": "1"} if step == "measure" and row.prepare else {}
    command = [sys.executable, "-m", "benchmarks.child", step, row.name, tool, str(folder)]
    env = environment(**row.environment, **hits_only)
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer after {TIMEOUT_S} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1], "trace": done.stderr}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
