"""The states of a grid's points, counted and put in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..template import get

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
    found: dict[str, set[str]] = {}
    for point in grid:
        for key in point:
            if _is_short(value := value_of(point, key)):
                found.setdefault(key, set()).add(str(value))
    return [key for key, values in found.items() if len(values) > 1 or any(key not in point for point in grid)]


def value_of(point: Mapping[str, Any], key: str) -> Any:
    """The value of a key, templates filled; as it is written where that cannot be, None where the point lacks it.

    >>> point = {"seed": 1, "twice": lambda x: 2 * x, "double": "{twice({seed})}", "odd": "{nothing}"}
    >>> value_of(point, "double"), value_of(point, "odd"), value_of(point, "absent")
    (2, '{nothing}', None)
    """
    value = point.get(key)
    try:
        return get(point, key) if isinstance(value, str) and "{" in value else value
    except Exception:  # noqa: BLE001 - what a page's own function raises is told when the point is computed
        return value


def _is_short(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, tuple))
