"""What a program waits for before it begins: importing the package, and `train.py --help`. All caches warm."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from ..clock import Lap, median
from ..fresh import ROOT, environment
from ..row import Measured, Row, under

REPEATS = 7
HEAVY = ("numpy", "torch", "pandas", "joblib", "click", "rich")
# Started with -S: what start-up files of the environment import would else not count for anybody.
IMPORT = """
import sys, time
sys.path.append({packages!r})
wall, cpu = time.perf_counter(), time.process_time()
import {package}
print(time.perf_counter() - wall, time.process_time() - cpu, *[name for name in {heavy} if name in sys.modules])
"""
HELP = """
import runpy, sys
sys.argv = ["train.py", "--help"]
try:
    runpy.run_path("train.py", run_name="__main__")
finally:
    print("loaded", *[name for name in {heavy} if name in sys.modules])
"""


def _python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True).stdout


def measure_import(tool: str, folder: Path) -> Measured:
    """The package alone, in a bare interpreter."""
    text = IMPORT.format(package=tool, heavy=HEAVY, packages=sysconfig.get_path("purelib"))
    answers = [_python("-S", "-c", text).split() for _ in range(REPEATS + 1)][1:]
    took = median([Lap(float(wall), float(cpu)) for wall, cpu, *_ in answers])
    loaded = [name for name in answers[0][2:] if name != tool]
    return took.measured(1e3, loaded=loaded, note=f"loads {', '.join(loaded)}" if loaded else "")


def _whole_process(*arguments: str) -> Lap:
    """From the start of a process to its end."""
    laps = []
    for _ in range(REPEATS + 1):
        before, wall = os.times(), time.perf_counter()
        _python(*arguments)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        laps.append(Lap(time.perf_counter() - wall, cpu))
    return median(laps[1:])


def measure_help(tool: str, folder: Path) -> Measured:
    """The whole process, from its start to its end."""
    if tool == "bare interpreter":
        return _whole_process("-c", "pass").measured(1e3)
    loaded = _python("-c", HELP.format(heavy=HEAVY)).splitlines()[-1].split()[1:]
    return _whole_process("train.py", "--help").measured(1e3, note=f"loads {', '.join(loaded)}" if loaded else "")


ROWS = [
    Row(
        "import",
        "import of the package",
        "ms",
        f"under 60 ms, without {', '.join(HEAVY)}",
        lambda m: m["value"] < 60 and not m["loaded"],
        measure_import,
        measures_memory=False,
    ),
    Row(
        "help",
        "`train.py --help`, the interpreter's start included",
        "ms",
        "under 150 ms",
        under(150),
        measure_help,
        measures_memory=False,
        peers=(),
        reference="bare interpreter",
    ),
]
