"""What a program waits for before it begins: importing the package, and `train.py --help`. All caches warm."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from ..fresh import ROOT, environment
from ..row import Measured, Row, under

REPEATS = 7
HEAVY = ("numpy", "torch", "pandas", "joblib", "click", "rich")
IMPORT = """
import sys, time
start = time.perf_counter()
import {package}
took = time.perf_counter() - start
print(took, *[name for name in {heavy} if name in sys.modules])
"""
HELP = """
import sys
sys.argv = ["train.py", "--help"]
import runpy
try:
    runpy.run_path("train.py", run_name="__main__")
finally:
    print("loaded", *[name for name in {heavy} if name in sys.modules])
"""


def _python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True).stdout


def measure_import(tool: str, folder: Path) -> Measured:
    text = IMPORT.format(package=tool, heavy=HEAVY)
    answers = [_python("-c", text).split() for _ in range(REPEATS + 1)][1:]
    loaded = [name for name in answers[0][1:] if name != tool]
    note = f"loads {', '.join(loaded)}" if loaded else ""
    return {"value": statistics.median(float(a[0]) for a in answers) * 1e3, "note": note, "loaded": loaded}


def _wall_ms(*arguments: str) -> float:
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        _python(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1e3


def measure_help(tool: str, folder: Path) -> Measured:
    if tool == "bare interpreter":
        return {"value": _wall_ms("-c", "pass")}
    loaded = _python("-c", HELP.format(heavy=HEAVY)).splitlines()[-1].split()[1:]
    return {"value": _wall_ms("train.py", "--help"), "note": f"loads {', '.join(loaded)}" if loaded else ""}


ROWS = [
    Row(
        "import",
        f"import of the package (none of {', '.join(HEAVY)})",
        "ms",
        "under 60 ms",
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
