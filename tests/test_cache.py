"""@cachable: whose results they are, in which format they are kept, and what a code change does."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import programs
import pytest

from gridrun import GridrunWarning, cachable, current_session, pickle_saver, run
from gridrun.errors import CodeChanged, StoreError, TableClash, UnstorableResult, UsageError

calls: list[Any] = []
POINT = [{"a": 1}]


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


# ------------------------------------------------------------------------------------------------------- decoration
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


# --------------------------------------------------------------------------------------------------------- identity
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


# ------------------------------------------------------------------------------------------------------------- code
@pytest.fixture
def versions(tmp_path: Path) -> Callable[..., list[Any]]:
    """versions(code="warn") gives the function before and after its helper was edited."""

    def made(**options: Any) -> list[Any]:
        page = "def helper(x):\n    return x + PLUS\ndef f(x):\n    return helper(x)\n"
        return [
            cachable(**options)(programs.function(tmp_path, page.replace("PLUS", str(plus)))) for plus in (10, 20)
        ]

    return made


def test_recompute_is_the_default_and_taking_a_change_back_hits_again(versions: Callable[..., list[Any]]) -> None:
    old, new = versions()
    assert [run(POINT, f)("{a}")[0] for f in (old, new, old, new)] == [11, 21, 11, 21]
    assert [run(POINT, f, run_mode="load")("{a}")[0] for f in (old, new)] == [11, 21]


def test_warn_reuses_and_says_once_what_changed_and_how_many_points(versions: Callable[..., list[Any]]) -> None:
    old, new = versions(code="warn")
    grid = [{"a": i} for i in range(5)]
    run(grid, old)("{a}")
    with pytest.warns(GridrunWarning) as caught:
        assert run([*grid, {"a": 5}], new)("{a}") == [10, 11, 12, 13, 14, 25]
    assert len(caught) == 1
    assert "f: 5 points reuse results of earlier code (changed: page:helper)" in str(caught[0].message)


def test_warn_prefers_a_result_of_the_present_code(versions: Callable[..., list[Any]]) -> None:
    for f in versions():
        run(POINT, f)("{a}")
    _, new = versions(code="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(POINT, new)("{a}") == [21]


def test_error_neither_reuses_nor_computes(versions: Callable[..., list[Any]]) -> None:
    old, new = versions(code="error")
    assert run(POINT, old)("{a}") == [11]
    with pytest.raises(CodeChanged, match=r"f changed .*page:helper"):
        run(POINT, new)("{a}")
    assert run([{"a": 2}], new)("{a}") == [22]  # nothing older to contradict


def test_ignore_reuses_without_a_word(versions: Callable[..., list[Any]]) -> None:
    old, new = versions(code="ignore")
    run(POINT, old)("{a}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(POINT, new)("{a}") == [11]


def test_a_function_without_source_is_kept_by_its_bytecode_and_said_so() -> None:
    def made(body: str) -> Any:
        space: dict[str, Any] = {"__name__": "nowhere"}
        exec(f"def f(x):\n    return {body}\n", space)
        return cachable()(space["f"])

    with pytest.warns(GridrunWarning, match="has no source: its bytecode stands for it"):
        assert run(POINT, made("x + 1"))("{a}") == [2]
    with pytest.warns(GridrunWarning):
        assert run(POINT, made("x + 2"))("{a}") == [3]
    assert run(POINT, made("x + 1"), run_mode="load")("{a}") == [2]


def test_a_constant_assigned_anew_in_a_running_session_counts(tmp_path: Path) -> None:
    f = cachable()(programs.function(tmp_path, "LEVEL = 1\ndef f(x):\n    return x + LEVEL\n"))
    assert run(POINT, f)("{a}") == [2]
    f.__globals__["LEVEL"] = 5
    assert run(POINT, f)("{a}") == [6]
    f.__globals__["LEVEL"] = 1
    assert run(POINT, f, run_mode="load")("{a}") == [2]


# ------------------------------------------------------------------------------------------------ formats of one's own
def test_saver_loader_and_checker_are_called_as_promised(sessions: Path) -> None:
    kept: dict[str, Any] = {}
    heard: list[Any] = []

    def save(session_id: str, table: str, cache_dir: str, value: Any) -> None:
        heard.append(("save", session_id, table, cache_dir))
        kept[session_id] = value

    def load(session_id: str, table: str, cache_dir: str) -> Any:
        heard.append(("load", session_id, table, cache_dir))
        return kept[session_id]

    def check(session_id: str, table: str, cache_dir: str) -> bool:
        return session_id in kept

    @cachable(saver=save, loader=load, checker=check, table_name="t")
    def f(x: int) -> Any:
        calls.append(x)
        return {x, object}  # no format of the store's

    (first,) = run(POINT, f, store_key="r")("{a}")
    (second,) = run(POINT, f, store_key="r")("{a}")
    assert first["r"] == second["r"] == {1, object} and calls == [1]
    where = (first["session_id"], "t", str(sessions))
    assert heard == [("save", *where), ("load", *where)]
    kept.clear()  # the checker says no
    run(POINT, f)("{a}")
    assert calls == [1, 1]


def test_a_function_that_keeps_its_own_files_gives_what_its_loader_gives(sessions: Path) -> None:
    def path(session_id: str, table: str, cache_dir: str) -> Path:
        return Path(cache_dir) / table / f"{session_id}.txt"

    def load(*where: str) -> str:
        return path(*where).read_text()

    def check(*where: str) -> bool:
        return path(*where).exists()

    @cachable(dependencies=["model:seed"], saver=None, loader=load, checker=check, table_name="own")
    def f(model: dict[str, Any]) -> str:
        calls.append(model["seed"])
        file = path(model["session_id"], "own", str(sessions))
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"seed {model['seed']}")
        return "not this"

    assert run([{"seed": 3}], f)("{*}") == run([{"seed": 3}], f)("{*}") == ["seed 3"]
    assert calls == [3]
    next((sessions / "own").iterdir()).unlink()
    assert run([{"seed": 3}], f)("{*}") == ["seed 3"] and calls == [3, 3]


def test_without_a_loader_such_a_function_gives_none() -> None:
    done: set[str] = set()

    @cachable(dependencies=["point:x"], checker=lambda id_, table, folder: id_ in done)
    def f(point: dict[str, Any]) -> str:
        calls.append(point["x"])
        done.add(point["session_id"])
        return "value"

    assert run([{"x": 1}], f)("{*}") == run([{"x": 1}], f)("{*}") == [None]
    assert calls == [1]


def test_current_session_has_the_id_and_a_folder_and_is_none_outside(sessions: Path) -> None:
    @cachable()
    def f(x: int) -> Any:
        session = current_session()
        if session is None:
            return None
        (session.folder / "log.txt").write_text("hello")
        return [session.id, session.table, str(session.folder)]

    (point,) = run(POINT, f, store_key="r")("{a}")
    id_ = point["session_id"]
    assert point["r"] == [id_, "f", str(sessions / "runs" / id_)]
    assert (sessions / "runs" / id_ / "log.txt").read_text() == "hello"
    assert f(1) is None and current_session() is None


def test_a_pickle_is_kept_only_on_request_and_read_only_where_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(x: int) -> Any:
        calls.append(x)
        return slice(x, 2)

    with pytest.raises(UnstorableResult, match="slice.*return plain data.*saver="):
        run(POINT, cachable(table_name="plain")(make))("{a}")
    pickled = cachable(saver=pickle_saver)(make)
    first = run(POINT, pickled)("{a}")
    with pytest.raises(StoreError, match="GRIDRUN_ALLOW_PICKLE=1"):
        run(POINT, pickled)("{a}")
    monkeypatch.setenv("GRIDRUN_ALLOW_PICKLE", "1")
    assert run(POINT, pickled)("{a}") == first
    assert calls == [1, 1]


def test_a_pickle_that_was_tampered_with_is_refused(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_ALLOW_PICKLE", "1")
    f = cachable(saver=pickle_saver)(named("f"))
    run(POINT, f)("{a}")
    (file,) = sessions.glob("runs/*/value.pickle")
    file.write_bytes(file.read_bytes() + b".")
    with pytest.raises(StoreError, match="failed its checksum"):
        run(POINT, f)("{a}")
