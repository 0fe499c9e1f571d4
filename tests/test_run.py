"""run(): a function over a grid, its arguments filled from each point, its results where they are asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from gridrun import cachable, run, split
from gridrun.errors import GridrunError, MissingKey, UsageError

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def square(x: int) -> dict[str, int]:
    calls.append(x)
    return {"square": x * x}


def positional(a: int, /, b: int = 0) -> tuple[int, int]:
    return a, b


GRID = split([{"z": 9}], "a", [3, 1, 2])


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
    assert plain(run(grid, f, store_key="r")("{a}")) == [{"z": 9, "a": a, "r": {"y": a + 1, "z": 0}} for a in (3, 1, 2)]
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
