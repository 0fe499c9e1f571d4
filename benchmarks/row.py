"""What a row of the table is: a quantity, how it is measured, and what it should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "gridrun"
PEERS = ("joblib", "diskcache", "exca", "cachier")
Measured = dict[str, Any]  # "value" and "cpu" in the row's unit; also "peak_mb", "import_s", "floor", "note", ...


@dataclass(frozen=True)
class Row:
    """One line of the table.

    measure(tool, folder) runs in a fresh process and gives the value; prepare(tool, folder) has filled the folder
    before, in another process, once; without it every measurement gets an empty folder.
    """

    name: str
    title: str
    unit: str  # "s", "ms", "µs", or "" for a count
    target: str
    is_met: Callable[[Measured], bool]
    measure: Callable[[str, Path], Measured]
    prepare: Callable[[str, Path], None] | None = None
    peers: tuple[str, ...] = PEERS
    reference: str = ""  # a floor, or what it is measured against besides the peers
    measures_memory: bool = True
    absent: Mapping[str, str] = field(default_factory=dict)  # peer -> why it has no such thing
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def tools(self) -> tuple[str, ...]:
        """Everything that this row measures, gridrun first."""
        return (OURS, *((self.reference,) if self.reference else ()), *self.peers)


def under(limit: float, key: str = "value") -> Callable[[Measured], bool]:
    """A target that a value stays below.

    >>> under(0.6)({"value": 0.5}), under(0.6)({"value": 0.6})
    (True, False)
    """
    return lambda measured: measured[key] < limit
