"""The store: plain files that many can share; what is damaged is found, named and computed again."""

from __future__ import annotations

import datetime
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

from gridrun import cachable, current_session, explain, open_store, run, split, store
from gridrun.errors import MissingKey, NotComputed, StoreError
from gridrun.store import Store

calls: list[Any] = []
GRID = split([{}], "a", [1, 2, 3])


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def small(x: int) -> dict[str, int]:
    calls.append(x)
    return {"x": x}


@cachable()
def large(x: int) -> Any:
    calls.append(x)
    return np.full(2000, x)


def reopened(folder: Path) -> Store:
    """The store as another process sees it."""
    store._OPEN.clear()
    return open_store(folder)


def blobs(folder: Path) -> list[Path]:
    return sorted(folder.glob("objects/*/*"))


def flip(path: Path, at: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def age(path: Path, hours: float = 5) -> None:
    os.utime(path, (time.time() - 3600 * hours,) * 2)


# ------------------------------------------------------------------------------------------------------------ where
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


# -------------------------------------------------------------------------------------------------- beside each result
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
    page = (
        "from gridrun import *\n@cachable()\ndef f(x):\n    return x\nrun([{'a': 1}], f, cache_dir=FOLDER)('{a}')\n"
    )
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


# ---------------------------------------------------------------------------------------------------------- durability
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


# -------------------------------------------------------------------------------------------------------------- damage
@pytest.mark.parametrize("hurt", ["flip", "flip header", "truncate", "empty", "remove", "grow"])
def test_a_damaged_large_file_is_found_named_and_computed_again(sessions: Path, hurt: str) -> None:
    run(GRID, large)("{a}")
    victim = next(p for p in blobs(sessions) if np.load(p)[0] == 2)
    raw = victim.read_bytes()
    if hurt.startswith("flip"):
        flip(victim, 20 if "header" in hurt else 8000)
    elif hurt == "remove":
        victim.unlink()
    else:
        victim.write_bytes({"truncate": raw[:-1], "empty": b"", "grow": raw + b"x"}[hurt])
    (damage,) = reopened(sessions).verify()
    assert damage.path == str(victim)
    calls.clear()
    assert [r[5] for r in run(GRID, large)("{a}")] == [1, 2, 3]
    assert calls == [2]
    assert victim.read_bytes() == raw
    assert [r[5] for r in run(GRID, large, run_mode="load")("{a}")] == [1, 2, 3]


def test_a_damaged_file_is_never_loaded_and_load_says_that_it_is_missing(sessions: Path) -> None:
    run(GRID, large)("{a}")
    flip(blobs(sessions)[0])
    with pytest.raises(NotComputed, match="1 of 3 points"):
        run(GRID, large, run_mode="load")("{a}")
    assert len(list((sessions / "damaged").iterdir())) == 1
    (damage,) = [d for d in reopened(sessions).verify() if "/damaged/" in d.path]
    assert damage.what == "set aside: it failed its checksum"


def test_damage_to_the_newest_generation_does_not_bring_back_an_older_one(sessions: Path) -> None:
    @cachable()
    def count(x: int) -> Any:
        calls.append(x)
        return np.full(2000, len(calls))

    run([{"a": 1}], count)("{a}")
    old = blobs(sessions)
    run([{"a": 1}], count, run_mode="force")("{a}")
    (new,) = set(blobs(sessions)) - set(old)
    flip(new)
    assert run([{"a": 1}], count)("{a}")[0][0] == 3
    for path in blobs(sessions):
        flip(path)
    assert run([{"a": 1}], count)("{a}")[0][0] == 4
    assert run([{"a": 1}], count, run_mode="load")("{a}")[0][0] == 4


def test_a_flipped_bit_among_small_results_is_found_named_and_they_are_computed_again(sessions: Path) -> None:
    run(GRID, small)("{a}")
    (segment,) = sessions.glob("segments/*")
    at = segment.read_bytes().find(b'{"x":2}') + 5
    raw = segment.read_bytes()
    for position in (at, 30, len(raw) - 3):
        segment.write_bytes(raw)
        flip(segment, position)
        (damage,) = reopened(sessions).verify()
        assert damage.path == str(segment)
        assert run(GRID, small, cache_dir=sessions)("{a}") == [{"x": 1}, {"x": 2}, {"x": 3}]
        for other in set(sessions.glob("segments/*")) - {segment}:
            other.unlink()


def test_a_torn_end_is_ignored_named_and_written_after(sessions: Path) -> None:
    run(GRID, small)("{a}")
    (segment,) = sessions.glob("segments/*")
    segment.write_bytes(segment.read_bytes()[:-9])
    age(segment)
    (damage,) = reopened(sessions).verify()
    assert "a torn end of" in damage.what
    calls.clear()
    assert run(GRID, small)("{a}") == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert calls  # at least the last one
    reopened(sessions)
    assert run(GRID, small, run_mode="load")("{a}") == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_damaged_metadata_costs_no_result(sessions: Path) -> None:
    run(GRID, small)("{a}")
    (segment,) = sessions.glob("segments/*")
    flip(segment, segment.read_bytes().rfind(b"seconds"))
    damaged = reopened(sessions)
    assert run(GRID, small, run_mode="load")("{a}") == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert {} in [r.dependencies for r in damaged.records()]
    (damage,) = damaged.verify()
    assert damage.path == str(segment) and "metadata" in damage.what


def test_a_sound_store_has_no_damage(sessions: Path) -> None:
    assert open_store().verify() == []
    run(GRID, large)("{a}")
    run(GRID, small)("{a}")
    seen: list[str] = []
    assert open_store().verify(seen.append) == []
    assert set(seen) == {str(p) for p in [*blobs(sessions), *sessions.glob("segments/*")]}


# ------------------------------------------------------------------------------------------------- sharing and merging
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


# ------------------------------------------------------------------------------------------------- deleting, gc
def test_deleted_results_are_gone_computed_anew_and_stay_away_after_a_merge(tmp_path: Path) -> None:
    folder, copy = tmp_path / "s", tmp_path / "copy"
    run(GRID, small, cache_dir=folder)("{a}")
    shutil.copytree(folder, copy)
    kept = reopened(folder)
    assert kept.delete(r for r in kept.records() if r.value()["x"] < 3) == 2
    assert [r.value() for r in kept.records()] == [{"x": 3}]
    shutil.copytree(copy, folder, dirs_exist_ok=True)
    assert [r.value() for r in reopened(folder).records()] == [{"x": 3}]
    calls.clear()
    run(GRID, small, cache_dir=folder)("{a}")
    assert calls == [1, 2]


PAGE = """
    import sys
    import numpy as np
    from gridrun import cachable, run
    @cachable()
    def f(x):
        return np.full(2000, float(sys.argv[3]))
    if __name__ == "__main__":
        run([{"a": 1}], f, cache_dir=sys.argv[1], run_mode=sys.argv[2])("{a}")
    """


def test_gc_removes_superseded_results_and_their_files_and_nothing_else(tmp_path: Path) -> None:
    page, folder = programs.write(tmp_path / "page.py", PAGE), tmp_path / "s"
    for mode, value in (("normal", 1), ("force", 2), ("force", 3)):
        programs.python(page, folder, mode, value)
    shop = open_store(folder)
    for path in blobs(folder):
        age(path)
    told = shop.collect()
    assert len(blobs(folder)) == 3 and len(list(folder.glob("segments/*"))) == 3  # told, not done
    assert sum("superseded" in r.why for r in told) == 2
    shop.collect(dry_run=False)
    shop.collect(dry_run=False)  # files whose records are gone now
    assert [np.load(p)[0] for p in blobs(folder)] == [3.0]
    (record,) = reopened(folder).records()
    assert (record.generation, record.value()[0]) == (2, 3.0)
    assert open_store(folder).collect() == [] and open_store(folder).verify() == []


def test_gc_leaves_young_files_and_living_writers_alone(sessions: Path) -> None:
    run(GRID, large)("{a}")
    run(GRID, large, run_mode="force")("{a}")
    orphan = sessions / "objects" / "00" / f"{'0' * 32}.npy"
    part = sessions / "objects" / "00" / ".x.npy.1234.part"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"1234")
    part.write_bytes(b"12")
    assert open_store().collect(dry_run=False) == []
    age(orphan)
    age(part)
    found = open_store().collect(dry_run=False)
    assert sorted((Path(r.path).name, r.n_bytes) for r in found) == [(part.name, 2), (orphan.name, 4)]
    assert not orphan.exists() and not part.exists()
    assert [r[0] for r in run(GRID, large, run_mode="load")("{a}")] == [1, 2, 3]


def test_gc_leaves_the_folder_of_a_run_that_still_writes_alone(sessions: Path) -> None:
    run(GRID, small)("{a}")
    running, stopped = (sessions / "runs" / (digit * 32) for digit in "ab")
    for folder in (running, stopped):
        folder.mkdir()
        (folder / "log.jsonl").write_text("{}\n")
        age(folder / "log.jsonl")
    with open(running / "log.jsonl", "a") as log:  # an epoch has just ended
        log.write("{}\n")
    age(running)  # appending does not touch the folder
    age(stopped)
    removed = open_store().collect(dry_run=False)
    assert [Path(r.path).name for r in removed] == [stopped.name]
    assert running.exists() and not stopped.exists()


def test_results_of_earlier_code_are_not_superseded(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for plus in (1, 2):
        source = f"from gridrun import *\n@cachable()\ndef f(x):\n    return x + {plus}\n"
        source += f"print(*run([{{'a': 1}}], f, cache_dir={str(folder)!r})('{{a}}'))\n"
        programs.python(programs.write(tmp_path / "page.py", source))
    assert open_store(folder).collect(dry_run=False) == []
    assert len(open_store(folder).rows(next(open_store(folder).records()).key)) == 2


def test_dates_are_those_of_the_work(sessions: Path) -> None:
    run(GRID, small)("{a}")
    day = datetime.datetime.now().date()
    assert {datetime.datetime.fromtimestamp(r.start).date() for r in open_store().records()} <= {
        day,
        datetime.datetime.now().date(),
    }
