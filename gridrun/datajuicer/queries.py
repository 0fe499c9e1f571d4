"""Asking a grid, in the old engine's shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gridrun.grid import matches, points
from gridrun.grid import query as grid_query
from gridrun.grid import reduce_keys as reduce_grid
from gridrun.template import format_template

Grid = list[dict[str, Any]]
Reduction = Callable[[list[Any]], Any] | Mapping[str, Callable[[list[Any]], Any]]
NOT_GIVEN = object()
POSITION = "position in the grid"


def get(data: Mapping[str, Any], key: str, default: Any = NOT_GIVEN) -> Any:
    """The value of a key, which may be a template, a call like `f({a},text)`, or "*" for the whole point.

    >>> get({"k": "a", "a": 1, "up": str.upper}, "{k}"), get({"up": str.upper}, "up(x)"), get({}, "b", 2)
    (1, 'X', 2)
    """
    name = format_template(data, key.partition("(")[0].removeprefix("!"))
    if default is not NOT_GIVEN and name != "*" and name not in data:
        return format_template(data, default)
    return format_template(data, "{" + key + "}")


def query(
    grid: Any,
    select: str | Sequence[str],
    where: Mapping[str, Any] | None = None,
    group_by: str | Sequence[str] = (),
    reduction: Reduction = list,
    return_func: bool = False,
    flatten_reductions: bool = False,
) -> Any:
    """The values of a key (a list), or of several keys or "*" (a dict of lists), each list reduced.

    group_by: the answer is (groups, results), one result a group
    reduction: a function, or a dict of functions for a dict of results (flatten_reductions: named key_name)
    return_func: the answer is a function that finds the result of a group

    >>> grid = [{"m": "x", "acc": 1}, {"m": "x", "acc": 2}, {"m": "y", "acc": 3}]
    >>> query(grid, "acc"), query(grid, "acc", group_by="m", reduction=sum)
    ([1, 2, 3], ([{'m': 'x'}, {'m': 'y'}], [3, 3]))
    """
    single = isinstance(select, str) and select != "*" and not flatten_reductions

    def result(members: Any) -> Any:
        values = grid_query(members, [select] if isinstance(select, str) and select != "*" else select)
        reduced = {key: _reduced(column, reduction) for key, column in values.items()}
        if single:
            return next(iter(reduced.values()))
        return _flattened(reduced) if flatten_reductions else reduced

    if not group_by:
        return result(_matching(grid, where))
    groups, members = _members(_matching(grid, where), group_by)
    results = [result(one) for one in members]
    if return_func:
        return lambda group: results[groups.index(group)]
    return groups, results


def reduce_keys(
    grid: Any,
    keys: str | Sequence[str],
    reduction: Reduction,
    where: Mapping[str, Any] | None = None,
    group_by: str | Sequence[str] | None = None,
) -> Grid:
    """One point for each group: the group's keys and the reduced ones, named key or key_name.

    Without group_by the points are grouped by every other key that all of them have.

    >>> grid = [{"m": "x", "seed": s, "acc": [s, s + 1]} for s in (0, 1)]
    >>> reduce_keys(grid, "acc", reduction={"max": lambda lists: max(map(max, lists))}, group_by=["m"])
    [{'m': 'x', 'acc_max': 2}]
    """
    listed = _matching(grid, where)
    if group_by is None:
        named = {keys} if isinstance(keys, str) else set(keys)
        first: Mapping[str, Any] = listed[0] if listed else {}
        group_by = [key for key in first if key not in named and all(key in point for point in listed)]
    return reduce_grid(listed, keys, reduction, group_by)


def _matching(grid: Any, where: Mapping[str, Any] | None) -> Grid:
    listed = points(grid)
    return [dict(point) for point, hit in zip(listed, matches(listed, where)) if hit]


def _members(listed: Grid, group_by: str | Sequence[str]) -> tuple[Grid, list[Grid]]:
    """The distinct groups in order of first appearance, and the points of each."""
    numbered = [{**point, POSITION: number} for number, point in enumerate(listed)]
    groups, positions = grid_query(numbered, POSITION, group_by=group_by)
    return groups, [[listed[number] for number in numbers] for numbers in positions]


def _reduced(values: list[Any], reduction: Reduction) -> Any:
    if isinstance(reduction, Mapping):
        return {name: function(values) for name, function in reduction.items()}
    return reduction(values)


def _flattened(reduced: Mapping[str, Any]) -> dict[str, Any]:
    """Dicts of results under key_name."""
    flat: dict[str, Any] = {}
    for key, value in reduced.items():
        flat.update({f"{key}_{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value})
    return flat
