"""Deleting results, and gc: what no result needs goes, all else stays."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest
import sending
import sent_points
from storing import GRID, age, blobs, calls, large, reopened, small

from gridrun import open_store, run, upkeep
from gridrun.dispatch.inprocess import InProcess


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


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


def test_gc_passes_over_what_a_writer_renames_in_the_middle(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is being written is listed, and has its own name by the time somebody looks at it."""
    run(GRID, large)("{a}")
    part = next((sessions / "objects").rglob("*.npy")).parent / ".new.npy.0123.part"
    part.write_bytes(b"half")
    every = Path.rglob

    def listing(folder: Path, pattern: str) -> Any:
        for path in every(folder, pattern):
            if pattern.endswith(".part"):
                path.rename(path.with_name("new.npy"))
            yield path

    monkeypatch.setattr(Path, "rglob", listing)
    assert reopened(sessions).collect(dry_run=False) == []
    assert part.with_name("new.npy").exists()


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


def test_gc_packs_many_small_segments_into_one(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = programs.write(sessions.parent / "page.py", PAGE.replace("np.full(2000, float(sys.argv[3]))", "x")
                          .replace('[{"a": 1}]', '[{"a": int(sys.argv[3])}]'))  # fmt: skip
    for number in range(4):
        programs.python(page, sessions, "normal", number)
    for path in sessions.glob("segments/*"):
        age(path)
    before = sorted(record.value() for record in reopened(sessions).records())
    assert open_store(sessions).collect(dry_run=False) == []  # four are not many
    monkeypatch.setattr(upkeep, "MANY", 4)
    assert len(open_store(sessions).collect()) == 4 and len(list(sessions.glob("segments/*"))) == 4  # told, not done
    open_store(sessions).collect(dry_run=False)
    assert len(list(sessions.glob("segments/*"))) == 1
    shop = reopened(sessions)
    assert sorted(record.value() for record in shop.records()) == before == [0, 1, 2, 3] and shop.verify() == []


def test_gc_leaves_the_runs_of_queued_points_alone(sessions: Path) -> None:
    backend = InProcess(lose=[("1", 0)])
    submission = sending.sent([{"x": 1}], sent_points.square, backend)
    waiting = sessions / "runs" / submission.rows[0].id
    waiting.mkdir(parents=True)
    (waiting / "checkpoint.safetensors").write_bytes(b"1234")
    age(waiting / "checkpoint.safetensors")
    age(waiting)
    assert open_store().collect(dry_run=False) == []
    submission.close("cancelled")
    assert [Path(r.path).name for r in open_store().collect()] == [waiting.name]


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
