"""Measuring a row: every tool in turn, round after round, each time in a fresh process.

In turn, so that a machine that gets slower does so for all; a ratio is taken within a round. A tool that takes long
has one turn only: what it shows is no matter of a few per cent.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from . import tools
from .fresh import measure
from .result import Result
from .row import OURS, Row

LONG_S = 20
Say = Callable[[str], None]


def run(row: Row, n_rounds: int, folder: Path, say: Say) -> Result:
    """Measure a row `n_rounds` times in turn; a tool that fails is left out of later rounds, and says why."""
    result = Result(row)
    taking_part = []
    for tool in row.tools:
        if not tools.is_installed(tool):
            result.failed[tool] = "not installed"
        elif row.prepare is None or _turn("prepare", result, tool, folder, say):
            taking_part.append(tool)
    for number in range(n_rounds):
        for tool in list(taking_part):
            started = time.monotonic()
            fine = _turn("measure", result, tool, folder, say)
            long = tool != OURS and time.monotonic() - started > LONG_S
            if long or not fine:
                taking_part.remove(tool)
        say(f"{row.name}: round {number + 1} of {n_rounds} done")
    return result


def _turn(step: str, result: Result, tool: str, folder: Path, say: Say) -> bool:
    """One process of one tool; whether it went well."""
    place = folder / tool.replace(" ", "_").replace(",", "")
    if result.row.prepare is None:
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(exist_ok=True)
    measured = measure(step, result.row, tool, place)
    if "failed" in measured:
        result.failed[tool] = measured["failed"]
        say(f"{measured.get('trace', '')}{result.row.name} {tool} failed: {measured['failed']}")
        return False
    if step == "prepare" or result.row.prepare is None:
        result.n_files[tool] = sum(len(names) for _, _, names in os.walk(place))
    if step == "measure":
        result.measured.setdefault(tool, []).append(measured)
        say(f"{result.row.name} {tool}: {measured['value']:.4g} {result.row.unit}")
    return True
