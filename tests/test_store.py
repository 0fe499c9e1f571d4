"""The store: plain files that many can share, each result with how it was obtained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest
from storing import GRID, blobs, calls, large, reopened, small

from gridrun import cachable, current_session, explain, open_store, run, split
from gridrun.errors import MissingKey, StoreError


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def test_the_store_is_the_given_folder_else_the_environments_else_the_studys(
    tmp_path: Path, sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_store(tmp_path / "given").path == tmp_path / "given"
    assert open_store().path == sessions
    script = """
        import sys
        from gridrun import open_store
        print(open_store().path)
        """
    programs.write(tmp_path / "study" / "experiments" / "deep" / "page.py", script)
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    monkeypatch.chdir(tmp_path)  # the current folder does not count
    found = programs.python(tmp_path / "study" / "experiments" / "deep" / "page.py").strip()
    assert found == str(tmp_path / "study" / "sessions")


def test_small_results_share_one_file_and_large_ones_have_their_own(sessions: Path) -> None:
    run(split([{}], "a", range(500)), small)("{a}")
    run(GRID, large)("{a}")
    assert len(list(sessions.glob("segments/*"))) == 1
    assert [p.suffix for p in blobs(sessions)] == [".npy"] * 3
    assert sorted(np.load(p)[0] for p in blobs(sessions)) == [1, 2, 3]
    assert sorted(p.name for p in sessions.iterdir()) == [
        "claims",
        "format.json",
        "objects",
        "runs",
        "segments",
        "tables",
    ]
    assert not list(sessions.rglob("*.part"))


def test_equal_large_results_are_kept_once(sessions: Path) -> None:
    @cachable(dependencies=["x"])
    def same(x: int) -> Any:
        return np.zeros(5000)

    results = run(split([{}], "a", range(5)), same)("{a}")
    assert len(blobs(sessions)) == 1
    results[0][0] = 1
    assert run([{"a": 0}], same)("{a}")[0][0] == 0


def test_beside_each_result_stands_how_it_was_obtained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_LOG", "/logs/7.out")
    before = time.time()

    @cachable(dependencies=["model:seed", "level"], table_name="acc", version=3)
    def f(model: dict[str, Any], level: float) -> float:
        time.sleep(0.02)
        return level

    (point,) = run([{"m": {"seed": 7}, "level": 0.5}], f, store_key="r")("{m}", "{level}")
    (record,) = open_store().records()
    assert (record.id, record.table, record.state, record.generation) == (point["session_id"], "acc", "done", 0)
    assert record.function.endswith("test_store:test_beside_each_result_stands_how_it_was_obtained.<locals>.f")
    assert record.dependencies == {"model:seed": 7, "level": 0.5} and record.value() == 0.5
    assert before - 0.01 <= record.start <= time.time() and 0.02 <= record.seconds < 20 and record.peak_mb > 10
    context = record.context
    assert context["versions"]["python"] == "{}.{}.{}".format(*sys.version_info)
    assert {"python", "gridrun", "numpy", "torch"} <= context["versions"].keys()
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=programs.ROOT, capture_output=True, text=True, check=False)
    assert context["git"].get("commit", "") == git.stdout.strip()
    assert isinstance(context["git"].get("dirty", False), bool)
    assert (context["host"], context["pid"], context["argv"]) == (os.uname().nodename, os.getpid(), sys.argv)
    assert context["log"] == "/logs/7.out" and len(context["code"]) == 32 and context["version"] == "3"


def test_the_scheduler_job_is_recorded(tmp_path: Path) -> None:
    page = "from gridrun import *\n@cachable()\ndef f(x):\n    return x\nrun([{'a': 1}], f, cache_dir=FOLDER)('{a}')\n"
    script = programs.write(tmp_path / "page.py", page.replace("FOLDER", repr(str(tmp_path / "s"))))
    programs.python(script, SLURM_JOB_ID="4711")
    (record,) = open_store(tmp_path / "s").records()
    assert (record.context["job"], record.function) == ("4711", "page:f")


def test_a_record_is_found_by_the_beginning_of_its_id() -> None:
    ids = [p["session_id"] for p in run(GRID, small, store_key="*")("{a}")]
    found = open_store().record(ids[1][:9])
    assert (found.id, found.value()) == (ids[1], {"x": 2})
    with pytest.raises(MissingKey, match="no result .* begin"):
        open_store().record("f" * 32)
    with pytest.raises(MissingKey, match="3 results .* begin with ''; give more digits"):
        open_store().record("")


def test_a_run_owns_a_folder_named_by_its_id(sessions: Path) -> None:
    @cachable()
    def train(x: int) -> None:
        session = current_session()
        assert session
        (session.folder / "log.jsonl").write_text("{}\n")

    (point,) = run([{"a": 1}], train, store_key="r")("{a}")
    assert [p.name for p in (sessions / "runs").iterdir()] == [point["session_id"]]
    assert open_store().record(point["session_id"]).folder == sessions / "runs" / point["session_id"]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_results_are_synced_to_disk_before_they_are_reported_done(
    n_threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")) or fsync(fd))
    monkeypatch.delenv("GRIDRUN_FSYNC", raising=False)
    run(GRID, large, n_threads=n_threads, cache_dir=tmp_path / "a")("{a}")
    assert sum(".npy" in path for path in synced) == 3 and any(path.endswith(".seg") for path in synced)
    synced.clear()
    run(GRID, large, cache_dir=tmp_path / "a")("{a}")
    assert synced == []
    monkeypatch.setenv("GRIDRUN_FSYNC", "0")
    run(GRID, large, cache_dir=tmp_path / "b")("{a}")
    assert not [path for path in synced if ".npy" in path or path.endswith(".seg")]


def test_many_small_points_share_an_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(fd) or fsync(fd))
    monkeypatch.delenv("GRIDRUN_FSYNC", raising=False)
    run(split([{}], "a", range(3000)), small, cache_dir=tmp_path / "a")("{a}")
    assert len(synced) < 60


def test_stores_merge_by_copying(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run(GRID[:1], large, cache_dir=here)("{a}")
    run(GRID[1:], large, cache_dir=there)("{a}")
    run(GRID[:1], large, cache_dir=here, run_mode="force")("{a}")
    shutil.copytree(there, here, dirs_exist_ok=True)
    calls.clear()
    assert [r[0] for r in run(GRID, large, cache_dir=here, run_mode="load")("{a}")] == [1, 2, 3]
    shutil.copytree(here, there, dirs_exist_ok=True)  # and back, twice
    shutil.copytree(here, there, dirs_exist_ok=True)
    assert [r[0] for r in run(GRID, large, cache_dir=there)("{a}")] == [1, 2, 3]
    assert calls == [] and open_store(there).verify() == []


def test_of_two_first_results_the_older_stands_in_every_order_of_merging(tmp_path: Path) -> None:
    page = programs.write(
        tmp_path / "page.py",
        """
        import sys, os
        from gridrun import cachable, run
        @cachable()
        def f(x):
            return sys.argv[2]
        print(*run([{"a": 1}], f, cache_dir=sys.argv[1])("{a}"))
        """,
    )
    for name in ("first", "second"):
        assert programs.python(page, tmp_path / name, name).strip() == name
    for order in (["first", "second"], ["second", "first"]):
        merged = tmp_path / "-".join(order)
        for name in order:
            shutil.copytree(tmp_path / name, merged, dirs_exist_ok=True)
        assert programs.python(page, merged, "third").strip() == "first"


def test_files_and_folders_are_group_writable_where_the_store_is(tmp_path: Path) -> None:
    shared, private = tmp_path / "shared", tmp_path / "private"
    for folder, mode in ((shared, 0o2775), (private, 0o755)):
        folder.mkdir()
        folder.chmod(mode)
        mask = os.umask(0o022)
        try:
            run(GRID, large, cache_dir=folder)("{a}")
            run([{"a": 1}], folder_maker, cache_dir=folder)("{a}")
        finally:
            os.umask(mask)
        made = [p for p in folder.rglob("*") if p.parent.parent.name != "runs"]
        assert len(made) > 12
        assert {bool(p.stat().st_mode & 0o020) for p in made} == {folder == shared}, folder


@cachable()
def folder_maker(x: int) -> str:
    session = current_session()
    assert session
    return str(session.folder)


def test_a_newer_store_is_refused_and_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    run(GRID, small, cache_dir=tmp_path / "s")("{a}")
    note = tmp_path / "s" / "format.json"
    note.write_text(json.dumps({"format": 99}))
    with pytest.raises(StoreError, match="has format 99, this gridrun reads 1; update gridrun"):
        reopened(tmp_path / "s")
    note.write_text("hello")
    with pytest.raises(StoreError, match="is this a store"):
        reopened(tmp_path / "s")


def test_a_result_of_another_process_is_seen_at_once(tmp_path: Path) -> None:
    page = programs.write(
        tmp_path / "shown.py",
        "import sys\nfrom gridrun import *\n@cachable()\ndef f(x):\n    return x\n"
        "if __name__ == '__main__':\n    run([{'a': int(sys.argv[2])}], f, cache_dir=sys.argv[1])('{a}')\n",
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import shown  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
    folder = tmp_path / "s"
    for n, mode in ((1, "load"), (2, "load_any"), (3, "normal")):
        run([{"a": 0}], shown.f, cache_dir=folder)("{a}")
        programs.python(page, folder, n)
        open_store(folder).refreshed = time.monotonic()  # as if looked at a moment ago
        assert run([{"a": n}], shown.f, cache_dir=folder, run_mode=mode)("{a}") == [n]
    programs.python(page, folder, 4)
    open_store(folder).refreshed = time.monotonic()
    assert [s.state for s in explain([{"a": 4}, {"a": 5}], shown.f, cache_dir=folder)("{a}")] == ["cached", "missing"]


def test_a_store_removed_under_a_running_session_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    run(GRID, large, cache_dir=folder)("{a}")
    shutil.rmtree(folder)
    more = [*GRID, {"a": 4}]
    assert [r[0] for r in run(more, large, cache_dir=folder)("{a}")] == [1, 2, 3, 4]
    reopened(folder)
    assert run([{"a": 4}], large, cache_dir=folder, run_mode="load")("{a}")[0][0] == 4
    calls.clear()
    assert [r[0] for r in run(more, large, cache_dir=folder)("{a}")] == [1, 2, 3, 4]
