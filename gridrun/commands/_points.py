"""The states of a grid's points, counted and put in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .. import PointState

DONE = ("cached", "done")
NOT_DONE = ("running", "pending", "failed", "stale", "missing")
WORDS = {"done": "computed now"}


def is_done(state: PointState) -> bool:
    return state.state in DONE


def count(states: Iterable[PointState]) -> dict[str, int]:
    """How many points are in each state that occurs, done ones first."""
    listed = [state.state for state in states]
    return {name: listed.count(name) for name in DONE + NOT_DONE if name in listed}


def in_words(name: str, counts: Mapping[str, int], seconds: float | None = None) -> str:
    """One line on an experiment.

    >>> in_words("mismatch", {"cached": 12, "done": 3}, 41.2)
    'mismatch: 15 points: 12 cached, 3 computed now (41.2 s)'
    >>> in_words("mismatch", {"missing": 1})
    'mismatch: 1 point: 1 missing'
    """
    states = ", ".join(f"{number} {WORDS.get(state, state)}" for state, number in counts.items())
    time = f" ({seconds:.1f} s)" if seconds is not None and "done" in counts else ""
    return f"{name}: {plural(sum(counts.values()), 'point')}{': ' * bool(states)}{states}{time}"


def plural(number: int, noun: str) -> str:
    """A count and its noun.

    >>> plural(1, "point"), plural(0, "point")
    ('1 point', '0 points')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def some(names: Sequence[str], most: int = 10) -> str:
    """The first names, and how many more there are.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def different_settings(grid: Sequence[Mapping[str, Any]]) -> list[str]:
    """The plain keys whose values set the points of a grid apart.

    >>> different_settings([{"lr": 0.1, "seed": 0}, {"lr": 0.1, "seed": 1}])
    ['seed']
    """
    keys = dict.fromkeys(key for point in grid for key in point)
    return [key for key in keys if len({str(point.get(key)) for point in grid if _is_short(point.get(key))}) > 1]


def _is_short(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, tuple))
