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
    exits = [worker.wait() for worker in workers]
    if any(exits):
        raise RuntimeError(f"the processes ended with {exits}")
    return {"value": len((folder / "log").read_text().split())}


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
