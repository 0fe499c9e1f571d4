"""Grid algebra: worked examples beside naive loops, and no quadratic anything."""

from __future__ import annotations

import copy
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridrun import configure, make_unique, query, reduce_keys, split, to_frame
from gridrun.errors import GridrunError, MissingKey, UsageError

TWO = [{"a": 1, "b": 2}, {"a": 2, "b": 2}]
RUNS = [{"m": m, "seed": s, "acc": acc} for m, s, acc in [("x", 0, 1.0), ("x", 1, 3.0), ("y", 0, 5.0), ("y", 1, 9.0)]]


def test_points_are_copies_and_inputs_stay_as_they_were() -> None:
    grid: list[dict[str, Any]] = [{"a": 1, "l": [1]}, {"a": 2, "l": [2]}]
    before = copy.deepcopy(grid)
    first = {"a": 1}
    for made in (configure(grid, {"c": 1}, where=first), split(grid, "s", [0, 1], where=first), make_unique(grid)):
        for point in made:
            point["new"] = 1
        assert grid == before
        assert made[-1]["l"] is grid[-1]["l"]  # a shallow copy


def test_one_dict_is_a_grid_of_one_point_everywhere() -> None:
    point = {"a": 1}
    assert configure(point, {"b": 2}) == [{"a": 1, "b": 2}]
    assert split(point, "s", [0, 1]) == [{"a": 1, "s": 0}, {"a": 1, "s": 1}]
    assert query(point, "a") == [1]
    assert make_unique(point) == [point]
    assert reduce_keys(point, "a", sum, group_by=[]) == [{"a": 1}]
    assert len(to_frame(point)) == 1


def test_a_grid_of_something_else_is_named() -> None:
    with pytest.raises(UsageError, match="a grid is a list of dicts, but it holds 'a' "):
        configure(["a"], {"b": 1})  # type: ignore[list-item]


def test_split_keeps_existing_points_outer_and_new_values_inner() -> None:
    grid = split(split([{}], "a", [1, 2]), "b", ["x", "y"])
    assert grid == [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y")]


def test_split_uses_a_generator_once_for_all_points() -> None:
    assert [p["s"] for p in split(TWO, "s", (i * i for i in range(3)))] == [0, 1, 4, 0, 1, 4]


def test_split_without_values_lets_the_matching_points_vanish() -> None:
    assert split(TWO, "s", [], where={"a": 1}) == [{"a": 2, "b": 2}]


def test_split_moves_several_keys_together() -> None:
    assert split([{"z": 0}], {"a": [1, 2], "b": iter("xy")}) == [
        {"z": 0, "a": 1, "b": "x"},
        {"z": 0, "a": 2, "b": "y"},
    ]
    with pytest.raises(UsageError, match=r"equally many values, not \{'a': 2, 'b': 1\}"):
        split([{}], {"a": [1, 2], "b": [1]})


@pytest.mark.parametrize("values", [None, "ab", b"ab"])
def test_split_refuses_values_that_are_no_list(values: Any) -> None:
    with pytest.raises(UsageError, match="takes a list of values"):
        split(TWO, "s", values)


@pytest.mark.parametrize(
    ("where", "matching"),
    [
        ({}, [0, 1, 2]),
        ({"n": 1}, [0]),
        ({"n": 1.0}, [0]),
        ({"n": np.int64(1)}, [0]),
        ({"n": [1, 2]}, [0, 1]),
        ({"n": {2, 3}}, [1, 2]),
        ({"n": range(2, 10)}, [1, 2]),
        ({"n": (3,)}, [2]),
        ({"n": lambda v: v > 1}, [1, 2]),
        ({"n": 1, "epochs": [35, 5]}, [0]),
        ({"epochs": [35, 5]}, [0, 1]),
        ({"dir": "data/2"}, [1]),
        ({"only_first": 7}, [0]),
        ({"n": "n"}, []),
        ({"nan": float("nan")}, [2]),
        ({"array": np.zeros(2)}, [0]),
        ({"array": [np.zeros(2), np.ones(2)]}, [0, 1]),
    ],
)
def test_where(where: dict[str, Any], matching: list[int]) -> None:
    grid: list[dict[str, Any]] = [
        {"n": 1, "epochs": [35, 5], "dir": "data/{n}", "only_first": 7, "nan": 0.0, "array": np.zeros(2)},
        {"n": 2, "epochs": [35, 5], "dir": "data/{n}", "nan": 0.0, "array": np.ones(2)},
        {"n": 3, "epochs": [], "dir": "data/{n}", "nan": float("nan"), "array": np.zeros(3)},
    ]
    marked = configure(grid, {"hit": True}, where=where)
    assert [i for i, p in enumerate(marked) if "hit" in p] == matching
    assert query(grid, "n", where=where) == [grid[i]["n"] for i in matching]


def test_a_list_matches_an_equal_value_before_its_members() -> None:
    grid = [{"epochs": [35, 5]}, {"epochs": 35}, {"epochs": 4}]
    assert query(grid, "epochs", where={"epochs": [35, 5]}) == [[35, 5], 35]


def test_a_key_that_no_point_has_is_an_error_that_lists_the_keys_but_not_on_an_empty_grid() -> None:
    with pytest.raises(MissingKey, match="no point of this grid has the key 'sed'; did you mean 'seed'"):
        configure(RUNS, {"z": 1}, where={"sed": 0})
    with pytest.raises(MissingKey, match="it has acc, m, seed"):
        query(RUNS, "acc", where={"qqqq": 0})
    assert configure([], {"z": 1}, where={"sed": 0}) == []


def test_query_of_one_key_several_keys_and_all() -> None:
    assert query(RUNS, "acc", where={"m": "x"}) == [1.0, 3.0]
    assert query(RUNS, ["m", "acc"], where={"seed": 0}) == {"m": ["x", "y"], "acc": [1.0, 5.0]}
    assert query(RUNS, "*", where={"acc": 9.0}) == {"m": ["y"], "seed": [1], "acc": [9.0]}
    assert query([{"a": "{b}", "b": 2}], "a") == [2]


def test_query_without_a_match_is_empty_in_every_form() -> None:
    nothing = {"m": "zzz"}
    assert query(RUNS, "acc", where=nothing) == []
    assert query(RUNS, ["m", "acc"], where=nothing) == {"m": [], "acc": []}
    assert query(RUNS, "*", where=nothing) == {}
    assert query(RUNS, "acc", where=nothing, group_by="m", reduction=sum) == ([], [])


def test_query_of_a_missing_key_is_an_error() -> None:
    with pytest.raises(MissingKey, match="no key 'accuracy'"):
        query(RUNS, "accuracy")


def test_groups_come_in_order_of_first_appearance() -> None:
    grid = [{"m": m, "acc": i} for i, m in enumerate("baab")]
    assert query(grid, "acc", group_by="m", reduction=list) == ([{"m": "b"}, {"m": "a"}], [[0, 3], [1, 2]])
    assert query(grid, "acc", group_by=["m"], reduction={"n": len, "sum": sum}) == (
        [{"m": "b"}, {"m": "a"}],
        {"acc_n": [2, 2], "acc_sum": [3, 3]},
    )


def test_reduce_keys_equals_pandas_groupby() -> None:
    reduced = reduce_keys(RUNS, "acc", {"mean": statistics.mean, "std": statistics.stdev, "min": min}, group_by=["m"])
    frame = pd.DataFrame(RUNS).groupby("m", sort=False)["acc"].agg(["mean", "std", "min"])
    assert reduced == [
        {"m": m, "acc_mean": row["mean"], "acc_std": pytest.approx(row["std"]), "acc_min": row["min"]}
        for m, row in frame.iterrows()
    ]
    assert reduce_keys(RUNS, ["acc", "seed"], max, group_by="m") == [
        {"m": "x", "acc": 3.0, "seed": 1},
        {"m": "y", "acc": 9.0, "seed": 1},
    ]


def test_grouping_tells_values_apart_by_content_and_type() -> None:
    grid = [{"k": k, "n": 1} for k in (1, 1.0, True, "1", [1], (1,), np.ones(1), np.ones(1))]
    groups, sums = query(grid, "n", group_by="k", reduction=sum)
    assert [len(groups), sums] == [6, [1, 1, 1, 1, 2, 2]]


def test_make_unique_keeps_the_first_of_points_equal_by_content() -> None:
    def f(x: int) -> int:
        return x

    two, three = np.ones(2), np.ones(3)
    grid = [{"a": two, "f": f}, {"f": f, "a": two.copy()}, {"a": three, "f": f}, {"a": two, "f": abs}]
    kept = make_unique(grid)
    assert [len(kept), kept[0]["a"] is grid[0]["a"]] == [3, True]
    assert [make_unique(p)[0] is p for p in grid] == [False] * 4


def test_make_unique_takes_functions_by_their_code_and_other_objects_by_identity() -> None:
    def make(k: int) -> Callable[[int], int]:
        return lambda x: x + k

    assert len(make_unique([{"f": make(1)}, {"f": make(1)}, {"f": make(2)}])) == 2
    one, other = object(), object()
    assert make_unique([{"o": one}, {"o": one}, {"o": other}]) == [{"o": one}, {"o": other}]


def test_to_frame_has_plain_columns_and_others_when_asked() -> None:
    grid = [{"a": 1, "t": "{a}!", "list": [1], "n": np.float32(0.5)}, {"a": None, "t": "x", "list": [2], "n": 2}]
    frame = to_frame(grid)
    assert list(frame.columns) == ["a", "t", "n"] and list(frame["t"]) == ["1!", "x"]
    assert list(to_frame(grid, ["list"])["list"]) == [[1], [2]]
    assert to_frame([{"a": 1}, {"b": 2}]).isna().sum().to_dict() == {"a": 1, "b": 1}
    with pytest.raises(MissingKey):
        to_frame(grid, ["lst"])
    assert len(to_frame([])) == 0


def test_errors_keep_their_builtin_class() -> None:
    assert issubclass(MissingKey, KeyError) and issubclass(UsageError, ValueError)
    assert issubclass(MissingKey, GridrunError)


OPERATIONS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "configure": lambda grid: configure(grid, {"c": 1}, where={"i": [1, 2]}),
    "split": lambda grid: split(grid, "s", [0, 1], where={"t": 3}),
    "query": lambda grid: query(grid, "i", where={"m": 1}),
    "group": lambda grid: query(grid, "i", group_by=["i"], reduction=sum),
    "reduce": lambda grid: reduce_keys(grid, "i", max, group_by=["m"]),
    "unique": lambda grid: make_unique([*grid, *grid]),
    "frame": lambda grid: to_frame(grid),
}


def n_calls(operation: Callable[[Any], Any], n: int) -> int:
    """Calls (Python's and C's) that the operation makes on a grid of `n` points."""
    grid = [{"i": i, "m": i % 7, "t": "{i}", "f": 0.5} for i in range(n)]
    operation(grid)  # what is imported at first use
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        operation(grid)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", OPERATIONS)
def test_calls_grow_no_faster_than_the_grid(name: str) -> None:
    few, many = (n_calls(OPERATIONS[name], n) for n in (400, 1600))
    assert many < 4.2 * few
