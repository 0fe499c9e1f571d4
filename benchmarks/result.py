"""What the rounds of one row gave: medians, ratios, and whether the target is met."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from .row import OURS, Measured, Row


@dataclass
class Result:
    """The measurements of one row by tool, round by round; the files each store had; why a tool has none.

    >>> row = Row("r", "", "s", "under 2 s", lambda m: m["value"] < 2, lambda tool, folder: {})
    >>> ours, theirs = [{"value": 1.0}, {"value": 3.0}, {"value": 1.0}], [{"value": 4.0}, {"value": 6.0}]
    >>> result = Result(row, {"gridrun": ours, "joblib": theirs})
    >>> result.median("gridrun"), result.ratio("joblib"), result.verdict
    (1.0, 3.0, 'yes')
    """

    row: Row
    measured: dict[str, list[Measured]] = field(default_factory=dict)
    n_files: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def median(self, tool: str, key: str = "value") -> float | None:
        """The median over the rounds; None where the tool gave none."""
        values = [m[key] for m in self.measured.get(tool, ()) if key in m]
        return statistics.median(values) if values else None

    def best(self, tool: str) -> float:
        """The smallest value of all rounds: the nearest to what the tool takes when the machine does nothing else."""
        return min(float(m["value"]) for m in self.measured[tool])

    def ratio(self, tool: str) -> float | None:
        """How many times gridrun's value: the median of the ratios within each round."""
        pairs = zip(self.measured.get(tool, ()), self.measured.get(OURS, ()))
        ratios = [theirs["value"] / ours["value"] for theirs, ours in pairs]
        return statistics.median(ratios) if ratios else None

    def note(self, tool: str) -> str:
        """What has to be said of a tool's measurement; why there is none."""
        error = self.failed.get(tool, "")
        if error and error != "not installed":
            return f"failed: {error}"
        return next((m["note"] for m in self.measured.get(tool, ()) if m.get("note")), "")

    @property
    def verdict(self) -> str:
        """Whether gridrun meets the target: by its medians, or else by what a machine in use allows."""
        ours, is_met = self.measured.get(OURS, []), self.row.is_met
        if not self.row.target or not ours:
            return ""
        if not self.row.unit:  # a count has no median
            return "yes" if all(map(is_met, ours)) else "**no**"
        medians = {key: _middle([m[key] for m in ours]) for key in ours[0]}
        if is_met(medians):
            return "yes"
        if any(map(is_met, ours)):
            return "in the best round"
        if "cpu" in medians and is_met({**medians, "value": medians["cpu"]}):
            return "by processor time"
        return "**no**"


def _middle(values: list[Any]) -> Any:
    """The median of numbers, whether all of truths, the first of anything else."""
    if all(isinstance(v, bool) for v in values):
        return all(values)
    return statistics.median(values) if isinstance(values[0], (int, float)) else values[0]
