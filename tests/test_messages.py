"""What a run says: of points that are missing, and of those that mean something else where they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sending import InProcess, profile

from gridrun import NotComputed, UsageError, cachable, explain, run, split
from gridrun.dispatch.submit import draft, send

FOLDER = {"files": 4}
GRID = split([{"size": 2, "data_copy": "{copy()}", "copy": lambda: f"{FOLDER['files']} clips"}], "seed", [0, 1])


@pytest.fixture(autouse=True)
def four_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FOLDER, "files", 4)


@cachable(dependencies=["model:data_copy", "model:seed", "model:size"])
def learn(model: dict[str, Any]) -> int:
    return FOLDER["files"]


@cachable(dependencies=["model:data_copy", "model:seed"])
def fetch(model: dict[str, Any]) -> None:
    FOLDER["files"] += 1


def test_what_is_missing_is_told_by_what_the_nearest_stored_point_has(monkeypatch: pytest.MonkeyPatch) -> None:
    run(GRID, learn)("{*}")
    monkeypatch.setitem(FOLDER, "files", 0)
    with pytest.raises(NotComputed) as caught:
        run(GRID[:1], learn, run_mode="load")("{*}")
    told = str(caught.value)
    assert "not computed (data_copy='0 clips', stored with '4 clips'; data_copy is what the data folder (" in told
    assert "unless named: -data_copy='4 clips')" in told
    named = [{**point, "data_copy": "4 clips"} for point in GRID]
    assert run(named, learn, run_mode="load")("{*}") == [4, 4]  # without the data
    with pytest.raises(NotComputed, match=r"\(size=3, stored with 2, seed=0; size=3, stored with 2, seed=1\)"):
        run(split(named, "size", [3]), learn, run_mode="load")("{*}")


def test_a_point_far_from_all_that_is_stored_is_told_by_its_own_settings() -> None:
    run(GRID, learn)("{*}")
    with pytest.raises(NotComputed, match=r"\(data_copy='none', seed=9, size=7\)"):
        run({"data_copy": "none", "seed": 9, "size": 7}, learn, run_mode="load")("{*}")


def test_a_point_that_means_something_else_where_it_is_computed_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = draft(GRID, learn, profile=profile(), root=Path(__file__).parent, backend=InProcess())("{*}")
    monkeypatch.setitem(FOLDER, "files", 9)
    send(plan)
    monkeypatch.setitem(FOLDER, "files", 4)
    state = explain(GRID[:1], learn)("{*}")[0]
    assert state.state == "failed"
    assert "data_copy='4 clips' where this point was asked for, data_copy='9 clips' here" in state.detail
    assert "GRIDRUN_DATA" in state.detail and "or set data_copy='9 clips' in the point" in state.detail


def test_files_that_are_added_while_a_run_goes_on_are_noticed_too() -> None:
    with pytest.raises(UsageError, match="data_copy='4 clips' where .* asked for, data_copy='5 clips' here"):
        run(GRID, fetch)("{*}")
    assert FOLDER["files"] == 5  # the second was not begun
