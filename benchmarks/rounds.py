"""Measuring a row: every tool in turn, round after round, each time in a fresh process.

In turn, so that a machine that gets slower does so for all; a ratio is taken within a round.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import tools
from .fresh import measure
from .row import OURS, Measured, Row


@dataclass
class Result:
    """What the rounds of one row gave."""

    row: Row
    measured: dict[str, list[Measured]] = field(default_factory=dict)
    n_files: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def median(self, tool: str, key: str = "value") -> float | None:
        """The median over the rounds; None where the tool gave none."""
        values = [m[key] for m in self.measured.get(tool, ()) if key in m]
        return statistics.median(values) if values else None

    def best(self, tool: str) -> float:
        """The smallest value of all rounds: what the tool takes when the machine does nothing else."""
        return min(m["value"] for m in self.measured[tool])

    def ratio(self, tool: str) -> float | None:
        """How many times gridrun's value: the median of the ratios within each round."""
        pairs = zip(self.measured.get(tool, ()), self.measured.get(OURS, ()))
        ratios = [theirs["value"] / ours["value"] for theirs, ours in pairs]
        return statistics.median(ratios) if ratios else None

    def note(self, tool: str) -> str:
        return next((m["note"] for m in self.measured.get(tool, ()) if m.get("note")), "")

    @property
    def verdict(self) -> str:
        """Whether gridrun meets the target: by its medians, or else by what a machine in use allows."""
        ours = self.measured.get(OURS, [])
        if not self.row.target or not ours:
            return ""
        medians = {key: _middle([m[key] for m in ours if key in m]) for key in ours[0]}
        if self.row.is_met(medians):
            return "yes"
        if any(self.row.is_met(m) for m in ours):
            return "in the best round"
        if "cpu" in medians and self.row.is_met({**medians, "value": medians["cpu"]}):
            return "by processor time"
        return "**no**"


def _middle(values: list[object]) -> object:
    """The median of numbers; of anything else, the first."""
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return statistics.median(values)  # type: ignore[type-var]
    return all(values) if isinstance(values[0], bool) else values[0]


def run(row: Row, n_rounds: int, folder: Path, say: Callable[[str], None]) -> Result:
    """Measure a row `n_rounds` times in turn; a tool that fails is left out of later rounds, and says why."""
    result = Result(row)
    present = [tool for tool in row.tools if tools.is_installed(tool)]
    result.failed.update({tool: "not installed" for tool in row.tools if tool not in present})
    for tool in present if row.prepare else ():
        place = _place(folder, tool)
        _note_failure(result, tool, measure("prepare", row, tool, place), say)
        result.n_files[tool] = _count_files(place)
    for number in range(n_rounds):
        for tool in present:
            if tool in result.failed:
                continue
            place = _place(folder, tool)
            if row.prepare is None:
                shutil.rmtree(place)
                place.mkdir()
            measured = measure("measure", row, tool, place)
            if _note_failure(result, tool, measured, say):
                result.measured.setdefault(tool, []).append(measured)
                result.n_files[tool] = _count_files(place)
                say(f"{row.name} {number + 1}/{n_rounds} {tool}: {measured['value']:.4g} {row.unit}")
    return result


def _place(folder: Path, tool: str) -> Path:
    place = folder / tool.replace(" ", "_").replace(",", "")
    place.mkdir(exist_ok=True)
    return place


def _note_failure(result: Result, tool: str, measured: Measured, say: Callable[[str], None]) -> bool:
    if "failed" not in measured:
        return True
    result.failed[tool] = measured["failed"]
    say(measured.get("trace", "") + f"{result.row.name} {tool} failed: {measured['failed']}")
    return False


def _count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
