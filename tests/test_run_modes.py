"""run_mode, and what is computed once: normal, force, load, load_any, ensure, equal points, objects of one's own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gridrun import NotComputed, cachable, ensure, make_unique, open_store, query, run, split

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def square(x: int) -> dict[str, int]:
    calls.append(x)
    return {"square": x * x}


GRID = split([{"z": 9}], "a", [3, 1, 2])


def test_normal_computes_what_is_missing_and_keeps_the_order_of_the_grid() -> None:
    assert run(GRID[1:], square)("{a}") == [{"square": 1}, {"square": 4}]
    assert run(GRID, square)("{a}") == [{"square": 9}, {"square": 1}, {"square": 4}]
    assert calls == [1, 2, 3]


def test_force_computes_anew_the_newest_wins_and_the_old_stays_as_history() -> None:
    @cachable()
    def count(x: int) -> int:
        calls.append(x)
        return len(calls)

    grid = [{"a": 1}, {"a": 1}]
    assert run(grid, count)("{a}") == [1, 1]
    assert run(grid, count, run_mode="force")("{a}") == [2, 2]
    assert run(grid, count, run_mode="load")("{a}") == run(grid, count)("{a}") == [2, 2]
    (record,) = open_store().records("count")
    assert record.generation == 1
    rows = open_store().rows(record.key)
    assert [frame.value(row) for frame, row in rows] == [b"i2", b"i1"]


def test_load_never_computes_and_says_how_many_which_and_what_would() -> None:
    run(GRID[:1], square)("{a}")
    assert run(GRID[:1], square, run_mode="load")("{a}") == [{"square": 9}]
    with pytest.raises(NotComputed) as caught:
        run(GRID * 2, square, run_mode="load")("{a}")
    message = str(caught.value)
    assert "4 of 6 points of square are not computed" in message
    assert "x=1" in message and "x=2" in message and "x=3" not in message
    assert "call run() without run_mode computes them" in message
    assert isinstance(caught.value, LookupError) and calls == [3]


def test_the_message_names_the_command_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    from gridrun import study

    study.use_command("python train.py -exp=waves")
    try:
        with pytest.raises(NotComputed, match="python train.py -exp=waves computes them"):
            run(GRID, square, run_mode="load")("{a}")
    finally:
        study.use_command("")


def test_a_long_list_of_missing_points_is_shortened_to_what_tells_them_apart() -> None:
    grid = split([{"common": 5}], "a", range(1000))

    @cachable()
    def f(common: int, a: int) -> None: ...

    with pytest.raises(NotComputed) as caught:
        run(grid, f, run_mode="load")()
    assert len(str(caught.value)) < 300 and "common" not in str(caught.value)


def test_load_any_leaves_out_what_is_missing() -> None:
    run(GRID[1:], square)("{a}")
    assert run(GRID, square, run_mode="load_any")("{a}") == [{"square": 1}, {"square": 4}]
    assert [p["a"] for p in run(GRID, square, run_mode="load_any", store_key="*")("{a}")] == [1, 2]
    assert calls == [1, 2]


def test_loading_leaves_no_trace_on_disk(sessions: Path) -> None:
    assert run(GRID, square, run_mode="load_any")("{a}") == []
    assert not sessions.exists() or not any(sessions.rglob("*"))


def test_ensure_computes_and_tells_states_but_loads_nothing() -> None:
    @cachable()
    def f(x: int) -> Any:
        calls.append(x)
        if x == 2:
            raise ValueError("no two")
        return np.zeros(10_000)

    states = ensure([*GRID, *GRID], f)("{a}")
    assert [s.state for s in states[:3]] == ["done", "done", "failed"] and states[5].state == "failed"
    assert states[2].detail == "ValueError: no two" and states[0].id == states[3].id
    assert [s.state for s in ensure(GRID, f)("{a}")] == ["cached", "cached", "failed"]
    assert sorted(calls) == [1, 2, 2, 3]


def test_points_with_equal_keys_are_computed_once_and_get_objects_of_their_own() -> None:
    @cachable()
    def f(x: int) -> list[int]:
        calls.append(x)
        return [x]

    results = run([{"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}], f, n_threads=2)("{a}")
    assert results == [[1], [2], [1], [1]] and sorted(calls) == [1, 2]
    results[0].append(0)
    assert results[2:] == [[1], [1]]


@pytest.mark.parametrize("value", [[1, [2]], {"a": {"b": []}}, "array", "large array", "tensor"])
def test_a_result_changed_in_place_touches_neither_the_store_nor_other_points(value: Any) -> None:
    made = {"array": np.zeros(3), "large array": np.zeros(3000), "tensor": torch.zeros(3)}

    @cachable()
    def f(x: Any) -> Any:
        return made.get(x, x) if isinstance(x, str) else x

    def spoil(result: Any) -> None:
        if isinstance(result, dict):
            result["a"]["b"].append("spoiled")
        elif isinstance(result, list):
            result[1].append("spoiled")
        else:
            result[0] = 77

    grid = [{"a": copy.deepcopy(value)}, {"a": copy.deepcopy(value)}]
    run(grid, f)("{a}")
    for _ in range(2):
        one, other = run(grid, f)("{a}")
        expected = made[value] if isinstance(value, str) else value
        assert [str(one), str(other)] == [str(expected)] * 2
        spoil(one)
        assert str(other) == str(expected)


@pytest.mark.parametrize("decorate", [lambda f: f, cachable(dependencies=["point:seed"])], ids=["plain", "cachable"])
def test_what_a_function_does_to_its_point_stays_with_it(decorate: Callable[[Any], Any]) -> None:
    @decorate
    def train(point: dict[str, Any]) -> dict[str, int]:
        point["junk"] = 1
        point["seed"] = 99
        point.pop("other", None)
        return {"net": 1}

    grid = [{"seed": 1, "other": 2}]
    first, second = (run(grid, train, store_key="*")("{*}")[0] for _ in range(2))
    assert first == second and grid == [{"seed": 1, "other": 2}]
    assert {k: v for k, v in first.items() if "session" not in k} == {"seed": 1, "other": 2, "net": 1}


def test_a_result_that_carries_ids_along_does_not_put_them_into_later_keys() -> None:
    @cachable(dependencies=["point:seed"])
    def first(point: dict[str, Any]) -> dict[str, Any]:
        return {**point, "net": 1}

    @cachable()
    def second(point: dict[str, Any]) -> int:
        calls.append("second")
        return point["net"]

    for _ in range(2):
        assert run(run([{"seed": 1}], first, store_key="*")("{*}"), second)("{*}") == [1]
    assert calls == ["second"]


def test_numpy_values_hit_as_plain_ones() -> None:
    run(split([{}], "a", np.arange(3)), square)("{a}")
    assert run(split([{}], "a", range(3)), square, run_mode="load")("{a}") == [{"square": i * i} for i in range(3)]


def test_ids_group_points_and_tell_them_apart() -> None:
    grid = run(GRID * 2, square, store_key="*")("{a}")
    groups, numbers = query(grid, "a", group_by="square_session_id", reduction=list)
    assert numbers == [[3, 3], [1, 1], [2, 2]]
    bare = [{"square_session_id": p["square_session_id"]} for p in grid]
    assert len(make_unique(bare)) == 3


def test_a_hit_gives_what_the_miss_gave_types_included() -> None:
    value = {
        "t": (1, (2,)),
        3: "int key",
        "s": {1, 2},
        "n": np.float32(0.1),
        "c": 1j,
        "none": None,
        "nan": float("nan"),
    }

    @cachable()
    def f(x: int) -> Any:
        return value

    miss, hit = (run([{"a": 1}], f)("{a}")[0] for _ in range(2))
    assert str(miss) == str(hit) == str(value)
    assert [type(v) for v in hit.values()] == [type(v) for v in value.values()]
    assert list(hit) == list(value)
