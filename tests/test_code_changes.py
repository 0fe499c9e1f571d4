"""What a code change does to stored results: recompute, warn, error, ignore."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import programs
import pytest

from gridrun import GridrunWarning, cachable, run
from gridrun.errors import CodeChanged

calls: list[Any] = []
POINT = [{"a": 1}]


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@pytest.fixture
def versions(tmp_path: Path) -> Callable[..., list[Any]]:
    """versions(code="warn") gives the function before and after its helper was edited."""

    def made(**options: Any) -> list[Any]:
        page = "def helper(x):\n    return x + PLUS\ndef f(x):\n    return helper(x)\n"
        return [cachable(**options)(programs.function(tmp_path, page.replace("PLUS", str(plus)))) for plus in (10, 20)]

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


@pytest.mark.parametrize("code", ["recompute", "warn", "ignore"])
def test_what_was_forced_wins_whatever_the_mode_was_before(code: str) -> None:
    def f(x: int) -> int:
        calls.append(x)
        return len(calls)

    for mode in ("normal", "force"):
        run(POINT, cachable()(f), run_mode=mode)("{a}")
    changed = cachable(code=code)(f)
    assert run(POINT, changed, run_mode="force")("{a}") == [3]
    assert run(POINT, changed)("{a}") == run(POINT, changed, run_mode="load")("{a}") == [3]
