"""A dry run: what each point is before anything is computed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import light
import numpy as np
import programs

from gridrun import cachable, explain, run, split

GRID = split([{}], "a", [1, 2, 3])
calls: list[Any] = []


def states(grid: Any, function: Any, *args: str, **options: Any) -> list[str]:
    return [state.state for state in explain(grid, function, **options)(*args or ("{a}",))]


def test_every_state_has_its_name_and_detail(tmp_path: Path) -> None:
    page = "def helper(x):\n    return x + PLUS\ndef f(x):\n    if x == 3:\n        raise ValueError('no three')\n"
    page += "    return helper(x)\n"
    old, new = (cachable()(programs.function(tmp_path, page.replace("PLUS", str(plus)))) for plus in (1, 2))
    run(GRID[:1], old, store_key="r")("{a}")
    run(GRID[1:], new, on_error="store")("{a}")
    told = explain([*GRID, {"a": 4}], new)("{a}")
    assert [t.state for t in told] == ["stale", "cached", "failed", "missing"]
    assert told[0].detail == "changed: page:helper"
    assert told[1].id == run([{"a": 2}], new, store_key="r")("{a}")[0]["session_id"]
    assert told[2].detail == "ValueError: no three"
    assert states(GRID[:1], old) == ["cached"]  # the change taken back


def test_under_error_a_changed_function_is_told_and_not_raised(tmp_path: Path) -> None:
    old, new = (
        cachable(code="error")(programs.function(tmp_path, f"def f(x):\n    return x + {plus}\n")) for plus in (1, 2)
    )
    run(GRID[:1], old)("{a}")
    assert states(GRID[:2], new) == ["stale", "missing"]


def test_under_warn_and_ignore_earlier_results_count_as_cached(tmp_path: Path) -> None:
    bodies = [f"def f(x):\n    return x + {plus}\n" for plus in (1, 2)]
    run(GRID, cachable()(programs.function(tmp_path, bodies[0])))("{a}")
    for code in ("warn", "ignore"):
        assert states(GRID, cachable(code=code)(programs.function(tmp_path, bodies[1]))) == ["cached"] * 3


def test_points_with_equal_keys_share_their_state() -> None:
    run(GRID[:1], light.inverse)("{a}")
    assert states([*GRID, *GRID], light.inverse) == ["cached", "missing", "missing"] * 2


def test_nothing_is_computed_or_written(sessions: Path) -> None:
    @cachable()
    def f(x: int) -> int:
        calls.append(x)
        return x

    assert states(GRID, f) == ["missing"] * 3
    assert not sessions.exists() or not any(sessions.rglob("*"))
    run(GRID[:1], f)("{a}")
    before = {p: p.stat().st_mtime_ns for p in sessions.rglob("*")}
    assert states(GRID, f) == ["cached", "missing", "missing"]
    assert {p: p.stat().st_mtime_ns for p in sessions.rglob("*")} == before
    assert calls == [1]


def test_a_missing_file_is_a_missing_result(sessions: Path) -> None:
    @cachable()
    def f(x: int) -> Any:
        return np.full(3000, x)

    run(GRID, f)("{a}")
    next(p for p in sessions.glob("objects/*/*") if np.load(p)[0] == 2).unlink()
    assert states(GRID, f) == ["cached", "missing", "cached"]


def test_what_another_process_computes_is_running_with_its_owner(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "s"
    script = programs.write(
        tmp_path / "p.py",
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import light
        from gridrun import run
        run([{{"a": 2}}], light.slow, cache_dir={str(folder)!r})("{{a}}", {str(log)!r}, 60.0)
        """,
    )
    program = programs.start(script)
    end = time.monotonic() + 30
    while not light.lines(log) and time.monotonic() < end:
        time.sleep(0.02)
    told = explain(GRID, light.slow, cache_dir=folder)("{a}", str(log), 60.0)
    assert [t.state for t in told] == ["missing", "running", "missing"]
    assert f"process {program.pid} on " in told[1].detail
    program.kill()
    program.communicate()
    assert states(GRID, light.slow, "{a}", str(log), cache_dir=folder) == ["missing"] * 3


def test_a_plain_function_is_always_to_be_computed() -> None:
    assert states(GRID, light.square) == ["missing"] * 3
