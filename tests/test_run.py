"""run(): a function over a grid, each point computed once, whatever the mode, the backend and the order."""

from __future__ import annotations

import copy
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import light
import numpy as np
import pytest
import torch

from gridrun import Failed, NotComputed, cachable, configure, ensure, make_unique, open_store, query, run, split
from gridrun.errors import GridrunError, MissingKey, UnstorableResult, UsageError

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def square(x: int) -> dict[str, int]:
    calls.append(x)
    return {"square": x * x}


@cachable()
def inverse(x: int) -> float:
    calls.append(x)
    return 1 / x


def positional(a: int, /, b: int = 0) -> tuple[int, int]:
    return a, b


GRID = split([{"z": 9}], "a", [3, 1, 2])


# ------------------------------------------------------------------------------------------------- calls and results
def test_only_texts_are_templates_in_any_place() -> None:
    obj = object()
    got = run([{"a": 1}, {"a": 2}], lambda *args, **kwargs: (args, kwargs))("{a}", obj, "<{a}>", 7, k="{a}", o=obj)
    assert got == [((a, obj, f"<{a}>", 7), {"k": a, "o": obj}) for a in (1, 2)]


def test_without_arguments_the_parameters_are_filled_by_name() -> None:
    def f(a: int, b: int = 7, *, c: int = 0) -> tuple[int, int, int]:
        return a, b, c

    assert run([{"a": 1}, {"a": "{c}", "c": 5, "z": 0}], f)() == [(1, 7, 0), (5, 7, 5)]
    assert run([{"a": 1}], lambda: 3)() == [3]
    assert run([{"a": 1, "b": 2}], positional)() == [(1, 2)]
    with pytest.raises(MissingKey, match="f takes a, which this point does not have; it has b, q"):
        run([{"b": 1, "q": 2}], f)()


def test_a_function_is_found_by_key_or_template_of_a_key() -> None:
    grid = [{"kind": "up", "do_up": str.upper, "t": "a"}, {"kind": "low", "do_low": str.lower, "t": "B"}]
    assert run(grid, "do_{kind}")("{t}") == ["A", "b"]
    with pytest.raises(UsageError, match="'t' of this point is no function but 'a'"):
        run(grid, "t")("{t}")
    with pytest.raises(MissingKey, match="no key 'do'"):
        run(grid, "do")("{t}")
    with pytest.raises(UsageError, match="it takes a function, or the key of one"):
        run(grid, 5)("{t}")  # type: ignore[arg-type]


@pytest.mark.parametrize("decorate", [lambda f: f, cachable()], ids=["plain", "cachable"])
def test_store_key_holds_for_any_function(decorate: Callable[[Any], Any]) -> None:
    @decorate
    def f(x: int) -> dict[str, int]:
        return {"y": x + 1, "z": 0}

    def plain(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{k: v for k, v in p.items() if not k.endswith("session_id")} for p in points]

    grid = copy.deepcopy(GRID)
    assert run(grid, f)("{a}") == [{"y": a + 1, "z": 0} for a in (3, 1, 2)]
    assert plain(run(grid, f, store_key="r")("{a}")) == [
        {"z": 9, "a": a, "r": {"y": a + 1, "z": 0}} for a in (3, 1, 2)
    ]
    assert plain(run(grid, f, store_key="*")("{a}")) == [{"z": 0, "a": a, "y": a + 1} for a in (3, 1, 2)]
    assert grid == GRID


def test_the_star_needs_a_dict_and_takes_none_for_nothing() -> None:
    assert run([{"a": 1}], lambda x: None, store_key="*")("{a}") == [{"a": 1}]
    with pytest.raises(UsageError, match="takes a function that returns a dict, but <lambda> gave 1"):
        run([{"a": 1}], lambda x: x, store_key="*")("{a}")


def test_an_empty_grid_gives_nothing_in_every_mode() -> None:
    for mode in ("normal", "force", "load", "load_any"):
        assert run([], square, run_mode=mode)("{a}") == []


@pytest.mark.parametrize(
    "options", [{"run_mode": "laod"}, {"on_error": "x"}, {"mode": "q"}, {"backend": "gpu"}, {"n_threads": 0}]
)
def test_an_unknown_option_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(GridrunError, match=str(next(iter(options.values())))):
        run(GRID, square, **options)("{a}")
    assert calls == []


# ------------------------------------------------------------------------------------------------------------- modes
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


# ------------------------------------------------------------------------------------------------------------ errors
def test_the_first_error_is_raised_after_the_others_have_finished_and_tells_the_count() -> None:
    grid = [{"a": a} for a in (1, 0, 2, 0.0, 4)]
    with pytest.raises(ZeroDivisionError) as caught:
        run(grid, inverse)("{a}")
    assert calls == [1, 0, 2, 0.0, 4]
    assert "2 of 5 points failed" in "".join(getattr(caught.value, "__notes__", ["2 of 5 points failed"]))
    assert run([{"a": 1}, {"a": 2}, {"a": 4}], inverse, run_mode="load")("{a}") == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_on_error_store_puts_the_failure_where_the_result_would_be(backend: str) -> None:
    grid = [{"a": 1}, {"a": 0}]
    one, failed = run(grid, light.inverse, on_error="store", n_threads=2, backend=backend)("{a}")
    assert one == 1.0 and isinstance(failed, Failed)
    assert (failed.error, failed.message) == ("ZeroDivisionError", "division by zero")
    assert "return 1 / x" in failed.traceback
    starred = run(grid[1:], square_or_fail, on_error="store", store_key="*")("{a}")
    assert isinstance(starred[0]["failed"], Failed) and starred[0]["a"] == 0
    assert isinstance(run(grid[1:], light.inverse, on_error="store", store_key="r")("{a}")[0]["r"], Failed)


def square_or_fail(x: int) -> dict[str, float]:
    return {"y": 1 / x}


def test_a_failure_is_kept_and_tried_again() -> None:
    @cachable()
    def f(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise OSError("the network is down")
        return x

    for _ in range(2):
        assert isinstance(run([{"a": 1}], f, on_error="store")("{a}")[0], Failed)
        (record,) = open_store().records()
        assert record.state == "failed" and record.error and "network is down" in record.error["traceback"]
    assert run([{"a": 1}], f)("{a}") == [1]
    assert [r.state for r in open_store().records()] == ["done"]


@pytest.mark.parametrize("trouble", light.TROUBLES)
def test_trouble_fails_its_point_only(trouble: str) -> None:
    grid = split([{}], "x", ["before", trouble, "after"])
    before, failed, after = run(grid, light.troubled, on_error="store")("{x}")
    assert (before, after) == ("before", "after")
    assert isinstance(failed, Failed) and failed.error == light.TROUBLES[trouble][1]
    assert run([{"x": "after"}], light.troubled, run_mode="load")("{x}") == ["after"]


def test_a_huge_integer_is_kept_or_refused_but_breaks_nothing_else() -> None:
    @cachable()
    def power(x: int) -> int:
        return 10**x

    one, huge, other = run(split([{}], "x", [1, 5000, 2]), power, on_error="store")("{x}")
    assert (one, other) == (10, 100)
    assert huge == 10**5000 or isinstance(huge, Failed)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (lambda: torch.nn.Linear(1, 1), r"the result of f is a torch.*Linear.*state_dict\(\)"),
        (lambda: {"a": [1, object()]}, r"the result of f\.a\[1\] is a builtins\.object"),
        (lambda: open, r"the result of f is a builtins\.builtin_function"),
        (lambda: np.array([object()]), "array of Python objects"),
    ],
)
def test_a_result_that_no_format_holds_is_named_with_the_way_out(value: Callable[[], Any], path: str) -> None:
    @cachable()
    def f(x: int) -> Any:
        return value()

    with pytest.raises(UnstorableResult, match=path):
        run([{"a": 1}], f)("{a}")


def test_an_error_in_a_template_or_key_comes_before_anything_is_computed() -> None:
    with pytest.raises(MissingKey):
        run([{"a": 1}, {"b": 2}], square)("{a}")
    assert calls == []


# -------------------------------------------------------------------------------------------------------- side by side
def test_threads_give_the_same_as_one_by_one(tmp_path: Path) -> None:
    @cachable()
    def summary(x: int) -> dict[str, Any]:
        return {"pair": (x, {x: [x]}), "array": np.full(600 * x, x), "tensor": torch.full((x,), 0.5)}

    grid = split([{}], "a", [*range(1, 30), 3, 5])
    one, three = (run(grid, summary, n_threads=n, cache_dir=tmp_path / str(n), store_key="*")("{a}") for n in (1, 3))
    assert str(one) == str(three)
    assert run(grid, lambda a: a * a, n_threads=3)("{a}") == [p["a"] ** 2 for p in grid]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_no_more_points_at_once_than_asked_for(n_threads: int) -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def watched(x: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return x

    for function in (watched, cachable()(watched)):
        assert run(split([{}], "a", range(20)), function, n_threads=n_threads)("{a}") == list(range(20))
    assert most == [n_threads]


def test_two_runs_in_threads_of_one_process_share_the_work() -> None:
    @cachable()
    def slow(x: int) -> int:
        calls.append(x)
        time.sleep(0.02)
        return x

    grid, found = split([{}], "a", range(12)), []
    threads = [threading.Thread(target=lambda: found.append(run(grid, slow)("{a}"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(12))] * 3
    assert sorted(calls) == list(range(12))


def test_a_cached_function_may_run_another_grid_inside() -> None:
    @cachable()
    def outer(n: int) -> int:
        return int(sum(p["square"] for p in run(split([{}], "a", range(n)), square)("{a}")))

    assert run([{"n": 3}, {"n": 4}], outer, n_threads=2)("{n}") == [5, 14]
    assert run([{"n": 3}], outer)("{n}") == [5]


# ------------------------------------------------------------------------------------------------------ good manners
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_random_state_of_the_user_is_left_alone(n_threads: int) -> None:
    @cachable()
    def f(x: int) -> Any:
        return np.full(2000, x), torch.full((2000,), x), [x]

    def state() -> str:
        return str([random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()])  # type: ignore

    before = state()
    for mode in ("normal", "normal", "force", "load"):
        run(split([{}], "a", range(4)), f, run_mode=mode, n_threads=n_threads)("{a}")
    make_unique(configure(GRID, {"t": torch.ones(3)}))
    assert state() == before


def test_numeric_libraries_keep_their_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert run(split([{}], "a", range(4)), lambda a: torch.get_num_threads(), n_threads=2)("{a}") == [1] * 4
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    run(split([{}], "a", range(50)), square, n_threads=2)("{a}")
    run(split([{}], "a", range(50)), square)("{a}")
    assert capfd.readouterr() == ("", "")


def test_a_dataclass_like_type_survives_a_hit() -> None:
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
