"""@cachable: what it takes, and whose results they are."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import programs
import pytest

from gridrun import cachable, run
from gridrun.errors import TableClash, UsageError

calls: list[Any] = []
POINT = [{"a": 1}]


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": "recomptue"}, "takes one of recompute, warn, error, ignore"),
        ({"dependencies": "x"}, "takes a list of names"),
        ({"dependencies": [1]}, "takes a list of names"),
        ({"dependencies": ["y"]}, "has no parameter 'y'; it has x"),
        ({"saver": lambda *a: None}, "a saver and no loader"),
    ],
)
def test_a_wrong_option_is_refused_at_decoration(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cachable(**options)(lambda x: x)


def test_a_decorated_function_is_still_itself() -> None:
    @cachable(dependencies=["x"])
    def f(x: int, y: int = 2) -> int:
        """Docs."""
        calls.append(x)
        return x + y

    assert [f(1), f(1), f(1, y=3), len(calls)] == [3, 3, 4, 3]
    assert (f.__name__, f.__doc__, str(inspect.signature(f))) == ("f", "Docs.", "(x: 'int', y: 'int' = 2) -> 'int'")


def test_what_is_wrapped_around_a_cachable_function_is_run_itself() -> None:
    @cachable()
    def f(x: int) -> int:
        return x

    @functools.wraps(f)
    def twice(x: int) -> int:
        return 2 * f(x)

    assert run(POINT, f)("{a}") == [1]
    assert run(POINT, twice)("{a}") == [2]


def test_decorating_twice_gives_two_functions_with_settings_of_their_own() -> None:
    @cachable(table_name="one")
    def f(x: int) -> int:
        calls.append(x)
        return x

    other = cachable(table_name="other")(f)
    assert [list(run(POINT, g, store_key="r")("{a}")[0]) for g in (f, other)] == [
        ["a", "session_id", "one_session_id", "r"],
        ["a", "session_id", "other_session_id", "r"],
    ]
    assert calls == [1, 1]


def test_builtin_functions_can_be_cached() -> None:
    assert run([{"a": 2.25}], cachable()(math.sqrt))("{a}") == [1.5]
    assert run([{"a": 2.25}], cachable()(math.sqrt), run_mode="load")("{a}") == [1.5]


def test_partial_functions_and_callable_objects_do_not_share_results() -> None:
    class Plus:
        def __init__(self, k: int) -> None:
            self.k = k

        def __call__(self, x: int) -> int:
            return x + self.k

    def plus(k: int, x: int) -> int:
        return x + k

    for kind in (Plus, lambda k: functools.partial(plus, k)):
        found = []
        for k in (10, 20, 10):
            try:
                found += run(POINT, cachable()(kind(k)))("{a}")
            except UsageError:  # refused at decoration: as good
                found.append(1 + k)
        assert found == [11, 21, 11]


def named(name: str, module: str = "page") -> Callable[[int], int]:
    def f(x: int) -> int:
        calls.append(name)
        return x

    f.__name__ = f.__qualname__ = name
    f.__module__ = module
    return f


def test_one_table_claimed_by_two_functions_is_an_error_that_names_both() -> None:
    run(POINT, cachable(table_name="t")(named("one")))("{a}")
    with pytest.raises(TableClash, match="'t'.* belongs to page:one, so page:two cannot use it.*table_name="):
        run(POINT, cachable(table_name="t")(named("two")))("{a}")
    with pytest.raises(TableClash, match="belongs to page:one"):
        run(POINT, cachable(table_name="t")(named("one", "elsewhere")))("{a}")
    assert calls == ["one"]


def test_the_clash_is_found_in_the_store_by_another_process(tmp_path: Path, sessions: Path) -> None:
    page = "from gridrun import cachable, run\n@cachable(table_name='t')\ndef NAME(x):\n    return x\n"
    page += "run([{'a': 1}], NAME)('{a}')\n"
    programs.python(programs.write(tmp_path / "one.py", page.replace("NAME", "one")))
    other = programs.start(programs.write(tmp_path / "two.py", page.replace("NAME", "two")))
    assert "belongs to one:one, so two:two cannot use it" in other.communicate(timeout=60)[1]
    assert other.returncode == 1


def test_the_default_table_is_the_name_and_the_same_name_elsewhere_clashes() -> None:
    run(POINT, cachable()(named("f", "page")))("{a}")
    with pytest.raises(TableClash, match="'f'"):
        run(POINT, cachable()(named("f", "other")))("{a}")
    assert run(POINT, cachable(table_name="other_f")(named("f", "other")))("{a}") == [1]


def test_making_the_same_function_anew_is_no_clash_and_hits() -> None:
    def make() -> Callable[[int], int]:
        @cachable()
        def inner(x: int) -> int:
            calls.append(x)
            return x

        return inner

    assert [run(POINT, make())("{a}") for _ in range(3)] == [[1]] * 3
    assert run([{"f": make(), "a": 1}, {"f": make(), "a": 2}], "f")("{a}") == [1, 2]
    assert calls == [1, 2]


def test_functions_of_one_maker_with_other_constants_do_not_share_results() -> None:
    def make(k: int) -> Callable[[int], int]:
        @cachable()
        def times(x: int) -> int:
            return x * k

        return times

    grid = [{"f": make(k), "x": 5} for k in (1, 2, 1, 3)]
    assert run(grid, "f")("{x}") == [5, 10, 5, 15]
    assert run(grid, "f", run_mode="load")("{x}") == [5, 10, 5, 15]
