"""What stands in one place of a table: the numbers found there, their mean and spread, as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError

Pick = Callable[[list[float]], float]
PICKS: dict[str, Pick] = {"max": max, "min": min}


@dataclass(frozen=True)
class Cell:
    """The values that the points of one place hold, as they are, and as numbers where they are numbers."""

    values: tuple[Any, ...]
    numbers: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the numbers; NaN without any.

        >>> make_cell([[1, 2], [3, 6]]).mean
        3.0
        """
        return _sum(self.numbers) / len(self.numbers) if self.numbers else math.nan

    @property
    def std(self) -> float:
        """The sample standard deviation (n - 1) of the numbers; NaN for fewer than two.

        >>> make_cell([1, 3]).std
        1.4142135623730951
        """
        if len(self.numbers) < 2:
            return math.nan
        mean = self.mean
        return math.sqrt(_sum([(number - mean) ** 2 for number in self.numbers]) / (len(self.numbers) - 1))


def make_cell(values: Iterable[Any]) -> Cell:
    """A cell of what the points hold: lists and arrays of numbers count number by number, None is nothing.

    >>> make_cell([[0.5, 1], None, 2]).numbers
    (0.5, 1.0, 2.0)
    >>> make_cell(["kl"]).numbers
    ()
    """
    kept = tuple(value for value in values if value is not None)
    try:
        return Cell(kept, tuple(number for value in kept for number in _numbers(value)))
    except _NotNumbers:
        return Cell(kept, ())


def write_cell(cell: Cell, decimals: int, spread: bool) -> str:
    """A cell as text: the number, or mean and standard deviation, or the text; empty without values.

    >>> [write_cell(make_cell(values), 2, True) for values in ([0.5], [7], ["kl"], [], [0.25, 0.75])]
    ['0.50', '7', 'kl', '', '0.50 ± 0.35']
    >>> write_cell(make_cell([0.25, 0.75]), 2, spread=False)
    '0.50'
    """
    if not cell.numbers:
        return "; ".join(dict.fromkeys(str(value) for value in cell.values))
    if len(cell.numbers) == 1:
        whole = len(cell.values) == 1 and _is_whole(cell.values[0])
        return str(cell.values[0]) if whole else _fixed(cell.mean, decimals)
    return _fixed(cell.mean, decimals) + (f" ± {_fixed(cell.std, decimals)}" if spread else "")


def best(cells: Sequence[Cell], pick: Pick, decimals: int) -> list[bool]:
    """Which cells hold the best mean as it is written; what is equal in `decimals` is equally good.

    >>> best([make_cell([v]) for v in (0.512, 0.514, 0.3)] + [make_cell([])], max, 2)
    [True, True, False, False]
    """
    means = [round(cell.mean, decimals) for cell in cells]
    finite = [mean for mean in means if not math.isnan(mean)]
    if not finite:
        return [False] * len(cells)
    chosen = pick(finite)
    return [mean == chosen for mean in means]


def find_pick(one: str | Pick | None) -> Pick | None:
    """`max`, `min`, their names, or None for no best.

    >>> find_pick("max") is max, find_pick(None)
    (True, None)
    """
    if one is None or callable(one):
        return one
    if one not in PICKS:
        raise UsageError(f"the best of a column is 'max', 'min', a function or None, not {one!r}")
    return PICKS[one]


class _NotNumbers(Exception):
    pass


def _sum(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) if all(map(math.isfinite, numbers)) else sum(numbers)


def _numbers(value: Any) -> Iterable[float]:
    """All numbers in a number, a list or an array, however deep."""
    if isinstance(value, (bool, str, bytes, dict)):
        raise _NotNumbers
    if hasattr(value, "tolist"):  # arrays, their scalars, tensors
        value = value.tolist()
        if isinstance(value, bool):
            raise _NotNumbers
    if isinstance(value, (int, float)):
        return [float(value)]
    if isinstance(value, (list, tuple)):
        return [number for one in value for number in _numbers(one)]
    raise _NotNumbers


def _fixed(number: float, decimals: int) -> str:
    return f"{round(number, decimals) + 0.0:.{decimals}f}"  # adding 0.0 makes -0.00 a 0.00


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or (hasattr(value, "dtype") and isinstance(value.tolist(), int))
