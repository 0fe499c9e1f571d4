"""Grid algebra. A grid is a list of points, a point is a dict; one dict alone is a grid of one point.

Nothing here changes its input: points are copied (shallowly), their order is kept, and every function takes a time
proportional to the number of points.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import MissingKey, UsageError, nearest
from .template import get, has_template, resolve

if TYPE_CHECKING:
    import pandas

Point = dict[str, Any]
Grid = list[Point]
AnyGrid = Mapping[str, Any] | Iterable[Mapping[str, Any]]
Reduction = Callable[[list[Any]], Any] | Mapping[str, Callable[[list[Any]], Any]]


def points(grid: AnyGrid) -> Sequence[Mapping[str, Any]]:
    """The points of a grid, one dict taken as a grid of one point.

    >>> points({"a": 1})
    [{'a': 1}]
    """
    if type(grid) is dict or isinstance(grid, Mapping):
        return [grid]
    listed = grid if isinstance(grid, (list, tuple)) else list(grid)
    if set(map(type, listed)) - {dict}:
        for point in listed:
            if not isinstance(point, Mapping):
                raise UsageError(f"a grid is a list of dicts, but it holds {point!r:.80} ({type(point).__name__})")
    return listed


def configure(grid: AnyGrid, dictionary: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> Grid:
    """Set keys on the points that match `where`; the others pass through.

    >>> configure([{"a": 1}, {"a": 2}], {"c": 3}, where={"a": 1})
    [{'a': 1, 'c': 3}, {'a': 2}]
    """
    listed = points(grid)
    return [{**p, **dictionary} if hit else dict(p) for p, hit in zip(listed, matches(listed, where))]


def split(
    grid: AnyGrid,
    key: str | Mapping[str, Iterable[Any]],
    values: Iterable[Any] | None = None,
    where: Mapping[str, Any] | None = None,
) -> Grid:
    """Make of each matching point one point per value: existing points outer, new values inner.

    >>> split([{"a": 1}, {"a": 2}], "seed", [0, 1])
    [{'a': 1, 'seed': 0}, {'a': 1, 'seed': 1}, {'a': 2, 'seed': 0}, {'a': 2, 'seed': 1}]

    Several keys move together: `split(grid, {"a": [1, 2], "b": ["x", "y"]})` makes two points of each, not four.
    Raises UsageError if their lengths differ. Without values, a matching point vanishes.
    """
    settings = _settings(key, values)
    listed = points(grid)
    out: Grid = []
    for point, hit in zip(listed, matches(listed, where)):
        if hit:
            out.extend([{**point, **setting} for setting in settings])
        else:
            out.append(dict(point))
    return out


def _settings(key: str | Mapping[str, Iterable[Any]], values: Iterable[Any] | None) -> list[Point]:
    """What `split` adds to each copy of a point."""
    if isinstance(key, str):
        if values is None or isinstance(values, (str, bytes)):
            raise UsageError(f"split(grid, {key!r}, values) takes a list of values, not {values!r}")
        return [{key: value} for value in values]
    columns = {k: list(v) for k, v in key.items()}
    lengths = {k: len(v) for k, v in columns.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"keys that move together need equally many values, not {lengths}")
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def query(
    grid: AnyGrid,
    select: str | Sequence[str],
    where: Mapping[str, Any] | None = None,
    group_by: str | Sequence[str] | None = None,
    reduction: Reduction | None = None,
) -> Any:
    """The values of one key (a list), or of several keys or "*" (a dict of lists), over the matching points.

    >>> grid = [{"m": "x", "acc": 1}, {"m": "x", "acc": 2}, {"m": "y", "acc": 3}]
    >>> query(grid, "acc", where={"m": "x"}), query(grid, ["m", "acc"], where={"acc": 3})
    ([1, 2], {'m': ['y'], 'acc': [3]})

    With `group_by` the answer is (groups, values): one group per combination, in order of first appearance, and each
    group's values reduced; a dict of reductions gives one result for each, named key_name.

    >>> query(grid, "acc", group_by="m", reduction=sum)
    ([{'m': 'x'}, {'m': 'y'}], [3, 3])
    >>> query(grid, "acc", group_by="m", reduction={"min": min, "max": max})
    ([{'m': 'x'}, {'m': 'y'}], {'acc_min': [1, 3], 'acc_max': [2, 3]})

    No match gives an empty result. Raises MissingKey if a matching point lacks a selected key.
    """
    listed = points(grid)
    matching = [p for p, hit in zip(listed, matches(listed, where)) if hit]
    keys = [select] if isinstance(select, str) and select != "*" else _selected(select, matching)
    if group_by is None:
        columns = {key: [get(p, key) for p in matching] for key in keys}
        if reduction is None:
            return columns[select] if isinstance(select, str) and select != "*" else columns
        named = {name: f(columns[key]) for key in keys for name, f in _reductions(key, reduction)}
        return named[select] if isinstance(select, str) and select in named else named
    groups, members = _grouped(matching, _names(group_by))
    named = {
        name: [f([get(p, key) for p in group]) for group in members]
        for key in keys
        for name, f in _reductions(key, reduction or list)
    }
    single = isinstance(select, str) and select in named and not isinstance(reduction, Mapping)
    return groups, (named[str(select)] if single else named)


def reduce_keys(grid: AnyGrid, keys: str | Sequence[str], reduction: Reduction, group_by: str | Sequence[str]) -> Grid:
    """Collapse the points that are equal in `group_by` into one, with the values of `keys` reduced.

    >>> grid = [{"m": "x", "seed": 0, "acc": 1}, {"m": "x", "seed": 1, "acc": 3}, {"m": "y", "seed": 0, "acc": 5}]
    >>> reduce_keys(grid, "acc", max, group_by=["m"])
    [{'m': 'x', 'acc': 3}, {'m': 'y', 'acc': 5}]
    >>> reduce_keys(grid, "acc", {"min": min, "max": max}, group_by=["m"])[0]
    {'m': 'x', 'acc_min': 1, 'acc_max': 3}
    """
    groups, reduced = query(grid, _names(keys), group_by=group_by, reduction=reduction)
    return [{**group, **{name: column[i] for name, column in reduced.items()}} for i, group in enumerate(groups)]


def make_unique(grid: AnyGrid) -> Grid:
    """Drop the points that are equal by content to an earlier one (functions are equal by their code).

    >>> make_unique([{"a": 1}, {"a": 1}, {"a": 2}])
    [{'a': 1}, {'a': 2}]
    """
    from .hashing import content

    first: dict[bytes, Point] = {}
    for point in points(grid):
        first.setdefault(content(point), dict(point))
    return list(first.values())


def to_frame(grid: AnyGrid, keys: Sequence[str] | None = None) -> pandas.DataFrame:
    """A DataFrame with one row a point: the columns `keys`, or all keys that hold plain values.

    Plain are None, bool, numbers, text, and what NumPy makes of them; other objects must be asked for by name.
    A point that lacks a key has None there.
    """
    import pandas

    listed = points(grid)
    if keys is None:
        names = dict.fromkeys(key for p in listed for key in p)
        keys = [k for k in names if all(_is_plain(p.get(k)) for p in listed)]
    else:
        _check_known(keys, listed)
    return pandas.DataFrame({key: [get(p, key, None) for p in listed] for key in keys}, index=range(len(listed)))


# ---------------------------------------------------------------------------------------------------------- matching
def matches(listed: Sequence[Mapping[str, Any]], where: Mapping[str, Any] | None) -> list[bool]:
    """Which points match `where`: {key: value, or predicate, or list, set or range of values}.

    Values are compared after their templates are resolved. A list, set or range matches an equal value first, else
    by membership. A key that a point lacks is no match; one that every point lacks raises MissingKey.
    """
    if not where or not listed:
        return [True] * len(listed)
    _check_known(where, listed)
    tests = [(key, _test(wanted)) for key, wanted in where.items()]
    return [all(key in p and fits(_value(p, key)) for key, fits in tests) for p in listed]


def _check_known(keys: Iterable[str], listed: Sequence[Mapping[str, Any]]) -> None:
    missing = [key for key in keys if listed and not any(key in p for p in listed)]
    if missing:
        known = {key for p in listed for key in p}
        raise MissingKey(f"no point of this grid has the key {missing[0]!r}; {nearest(missing[0], known)}")


def _value(point: Mapping[str, Any], key: str) -> Any:
    value = point[key]
    return resolve(value, point, (key,)) if isinstance(value, str) and has_template(value) else value


def _test(wanted: Any) -> Callable[[Any], bool]:
    """The predicate of one `where` value, prepared so that each point costs the same whatever its length."""
    if isinstance(wanted, (list, tuple, set, frozenset, range)):
        quick, others = _by_hash(wanted)

        def is_among(value: Any) -> bool:
            with contextlib.suppress(TypeError):  # a value that cannot be hashed
                if value in quick:
                    return True
            return equal(value, wanted) or any(equal(value, one) for one in others)

        return is_among
    if callable(wanted):
        return lambda value: equal(value, wanted) or bool(wanted(value))
    return lambda value: equal(value, wanted)


def _by_hash(values: Iterable[Any]) -> tuple[frozenset[Any], list[Any]]:
    """The values that can be looked up by hash, and those that must be compared one by one."""
    quick, others = set(), []
    for value in values:
        try:
            quick.add(value)
        except TypeError:
            others.append(value)
            continue
        if value != value:
            others.append(value)  # NaN equals NaN here
    return frozenset(quick), others


def equal(one: Any, other: Any) -> bool:
    """Equality that always is a bool: arrays are compared whole, NaN equals NaN.

    >>> equal(0, 0.0), equal(float("nan"), float("nan")), equal([1], (1,))
    (True, True, False)
    """
    if one is other:
        return True
    try:
        same = one == other
        if isinstance(same, bool):
            return same or bool(one != one and other != other)
    except (TypeError, ValueError):
        return False
    if getattr(same, "ndim", 0):  # arrays, tensors, frames
        shapes = getattr(one, "shape", None), getattr(other, "shape", None)
        return shapes[0] == shapes[1] and bool(_all(same))
    return bool(same)


def _all(same: Any) -> Any:
    while hasattr(same, "all") and getattr(same, "ndim", False):
        same = same.all()
    return same


# ---------------------------------------------------------------------------------------------------------- grouping
def _names(keys: str | Sequence[str]) -> list[str]:
    return [keys] if isinstance(keys, str) else list(keys)


def _selected(select: str | Sequence[str], listed: Sequence[Mapping[str, Any]]) -> list[str]:
    if select == "*":
        return [k for k in dict.fromkeys(k for p in listed for k in p) if all(k in p for p in listed)]
    return list(select)


def _reductions(key: str, reduction: Reduction) -> list[tuple[str, Callable[[list[Any]], Any]]]:
    if isinstance(reduction, Mapping):
        return [(f"{key}_{name}", f) for name, f in reduction.items()]
    return [(key, reduction)]


def _grouped(listed: Sequence[Mapping[str, Any]], keys: list[str]) -> tuple[Grid, list[list[Mapping[str, Any]]]]:
    """The distinct combinations of `keys` in order of first appearance, and the points of each."""
    from .hashing import content

    _check_known(keys, listed)
    groups: dict[Any, Point] = {}
    members: dict[Any, list[Mapping[str, Any]]] = {}
    for point in listed:
        group = {key: get(point, key) for key in keys}
        mark = content(group)
        groups.setdefault(mark, group)
        members.setdefault(mark, []).append(point)
    return list(groups.values()), list(members.values())


def _is_plain(value: Any) -> bool:
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return True
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
