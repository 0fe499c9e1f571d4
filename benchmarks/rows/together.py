"""Four processes begin the same three points at the same moment: how often is the function called?"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .. import tools
from ..fresh import ROOT, environment
from ..row import Measured, Row

N_PROCESSES, N_POINTS = 4, 3
PATIENCE_S = 60
WORKER = "from benchmarks.rows.together import work; work({tool!r}, {folder!r}, {start!r})"


def slow(number: int, log: str) -> int:
    """Takes 0.3 s and leaves a line."""
    with open(log, "a") as file:
        file.write(f"{number}\n")
    time.sleep(0.3)
    return number


def work(tool: str, folder: str, start: float) -> None:
    """What each of the processes does."""
    many = tools.load(tool).keep(slow, Path(folder) / "store")
    points = [{"number": i, "log": f"{folder}/log"} for i in range(N_POINTS)]
    time.sleep(max(0.0, start - time.time()))
    assert many(points) == list(range(N_POINTS))


def measure(tool: str, folder: Path) -> Measured:
    (folder / "store").mkdir()
    text = WORKER.format(tool=tool, folder=str(folder), start=time.time() + 6)
    command = [sys.executable, "-c", text]
    workers = [subprocess.Popen(command, cwd=ROOT, env=environment()) for _ in range(N_PROCESSES)]
    n_waiting = _end(workers)
    if n_waiting:
        raise RuntimeError(f"{n_waiting} of {N_PROCESSES} processes still waited after {PATIENCE_S} s")
    if any(worker.returncode for worker in workers):
        raise RuntimeError("one of the processes failed")
    return {"value": len((folder / "log").read_text().split())}


def _end(workers: list[subprocess.Popen[bytes]]) -> int:
    """Wait for the processes; end those that take too long, and tell how many they were."""
    deadline, n_waiting = time.monotonic() + PATIENCE_S, 0
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
            n_waiting += 1
    return n_waiting


ROWS = [
    Row(
        "together",
        f"{N_PROCESSES} processes run the same {N_POINTS}-point grid at once: executions",
        "",
        f"{N_POINTS} in all",
        lambda m: m["value"] == N_POINTS,
        measure,
        measures_memory=False,
    )
]
