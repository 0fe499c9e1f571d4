"""Results in a format of one's own: savers, loaders, checkers, folders of sessions, pickles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridrun import Failed, cachable, current_session, pickle_saver, run
from gridrun.errors import StoreError, UnstorableResult

calls: list[Any] = []
POINT = [{"a": 1}]


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def named(name: str, module: str = "page") -> Callable[[int], int]:
    def f(x: int) -> int:
        calls.append(name)
        return x

    f.__name__ = f.__qualname__ = name
    f.__module__ = module
    return f


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


def test_a_saver_that_fails_fails_its_point_only(tmp_path: Path) -> None:
    def save(session_id: str, table: str, cache_dir: str, value: int) -> None:
        if value == 2:
            raise OSError("no room for two")
        (tmp_path / session_id).write_text(str(value))

    def load(session_id: str, table: str, cache_dir: str) -> int:
        return int((tmp_path / session_id).read_text())

    f = cachable(saver=save, loader=load)(named("f"))
    grid = [{"a": a} for a in (1, 2, 3)]
    one, two, three = run(grid, f, on_error="store")("{a}")
    assert (one, three) == (1, 3) and isinstance(two, Failed) and two.message == "no room for two"
    assert run(grid, f, run_mode="load_any")("{a}") == [1, 3]
