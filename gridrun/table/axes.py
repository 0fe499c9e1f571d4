"""The axes of a table: a key of the points, or what is computed from a point, such as which method it is."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import MissingKey, UsageError, nearest
from ..hashing import content
from ..template import get

Point = Mapping[str, Any]
Labels = Mapping[Any, str]


class Label(str):
    """A text that the user chose; `$...$` in it is mathematics for LaTeX. Texts from the points are data."""

    __slots__ = ()


class Source(Protocol):
    """Where the values of an axis come from."""

    @property
    def label(self) -> str:
        """How the axis is called."""

    @property
    def first(self) -> Sequence[Any]:
        """The values that come first unless the table's order says otherwise; the others are sorted."""

    def column(self, points: Sequence[Point], labels: Labels) -> list[Any]:
        """The value of each point on this axis."""


@dataclass(frozen=True)
class Key:
    """The value of one key, templates resolved; a point that lacks the key has None."""

    label: str
    first: Sequence[Any] = ()

    def column(self, points: Sequence[Point], labels: Labels) -> list[Any]:
        check_known([self.label], points)
        return [get(point, self.label, None) for point in points]


@dataclass(frozen=True)
class Deviation:
    """Which method a point is: what deviates in it from the defaults.

    >>> method = Deviation({"beta": 0.0, "awp": False})
    >>> method.column([{"beta": 0.0, "awp": False}, {"beta": 0.25, "awp": True}], {"awp = True": "AWP"})
    ['Standard', 'beta = 0.25, AWP']

    Each part, and the whole text after them, may have a label. A key that a point lacks does not deviate; one
    that every point lacks raises MissingKey, so that a misspelt key never lumps methods together.
    """

    defaults: Mapping[str, Any]
    label: str = "Method"
    standard: str = "Standard"

    @property
    def first(self) -> Sequence[str]:
        return (self.standard,)

    def column(self, points: Sequence[Point], labels: Labels) -> list[Any]:
        check_known(self.defaults, points)
        return [self.method(point, labels) for point in points]

    def method(self, point: Point, labels: Labels) -> str:
        """The deviations of one point as text."""
        values = {key: get(point, key, default) for key, default in self.defaults.items()}
        deviating = [key for key, default in self.defaults.items() if mark(values[key]) != mark(default)]
        parts = [f"{labels.get(key, key)} = {values[key]}" for key in deviating]
        text = ", ".join(str(labels.get(part, part)) for part in parts) or self.standard
        return text if any("$" in str(values[key]) for key in deviating) else Label(text)


@dataclass(frozen=True)
class Computed:
    """An axis of your own: `function(point)` is the value of a point.

    >>> Computed("size", lambda p: p["width"] * p["depth"]).column([{"width": 3, "depth": 2}], {})
    [6]
    """

    label: str
    function: Callable[[Point], Any]
    first: Sequence[Any] = ()

    def column(self, points: Sequence[Point], labels: Labels) -> list[Any]:
        return [self.function(point) for point in points]


@dataclass(frozen=True)
class Axis:
    """The distinct values along one axis, in their order, and how each is shown."""

    name: str  # the key, or the label of a computed axis
    label: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)


def make_axis(name: str, column: Iterable[Any], labels: Labels, order: Sequence[Any] = ()) -> Axis:
    """The axis of a column: its distinct values sorted, those of `order` first.

    `order` holds values or labels; what it names and the column lacks is left out.

    >>> make_axis("m", ["b", "a", "c", "a"], {"c": "see"}, order=["see", "b", "zzz"]).values
    ('c', 'b', 'a')
    """
    distinct: dict[Hashable, Any] = {}
    for value in column:
        distinct.setdefault(mark(value), value)
    values = sorted(distinct.values(), key=_rank)
    wanted = {mark(one): place for place, one in reversed(list(enumerate(order)))}
    values.sort(key=lambda value: wanted.get(mark(value), wanted.get(label_of(value, labels), len(order))))
    shown = tuple(label_of(value, labels) for value in values)
    return Axis(name, label_of(name, labels), tuple(values), shown)


def label_of(value: Any, labels: Labels) -> str:
    """How a value or a key is shown: its label if it has one, else its text.

    >>> label_of("cnn", {"cnn": "CNN"}), label_of(0.1, {}), label_of(None, {})
    ('CNN', '0.1', '')
    """
    if isinstance(value, Hashable) and value in labels:
        return Label(labels[value])
    if isinstance(value, Label):
        return value
    return "" if value is None else str(value)


def mark(value: Any) -> Hashable:
    """Equal for values that are one value of an axis: numbers by their number, all else by content.

    >>> mark(0) == mark(0.0), mark(1) == mark(True), mark([1, 2]) == mark((1, 2))
    (True, False, True)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return ("number", value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return mark(value.item())
    return content(value)


def check_known(keys: Iterable[str], points: Sequence[Point]) -> None:
    """Raise MissingKey for a key that no point has."""
    for key in keys:
        if points and not any(key in point for point in points):
            known = {name for point in points for name in point}
            raise MissingKey(f"no point of this table has the key {key!r}; {nearest(key, known)}")


def check_order(order: Mapping[str, Sequence[Any]], sources: Sequence[Source], labels: Labels) -> None:
    """Raise UsageError for an entry of `order` that is no axis of the table."""
    names = {name for source in sources for name in (source.label, label_of(source.label, labels))}
    for name in order:
        if name not in names:
            raise UsageError(f"order names {name!r}, which is no axis of this table; {nearest(name, names)}")


def _rank(value: Any) -> tuple[int, Any]:
    """Sorts values of any mixture: nothing, then numbers, then texts, then the rest by how they print."""
    if value is None:
        return 0, 0
    if isinstance(value, numbers.Real):
        return 1, (float(value) if value == value else math.inf, isinstance(value, bool))
    return (2, value) if isinstance(value, str) else (3, str(value))
