"""Breaking it on purpose: kill -9, full and read-only disks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import light
import numpy as np
import programs
import pytest

from gridrun import NotComputed, StoreError, cachable, explain, open_store, run, split, store

HERE = Path(__file__).parent
calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def padded(x: int, n: int) -> str:
    calls.append(x)
    return f"{x}," * n


@cachable()
def large(x: int) -> Any:
    calls.append(x)
    return np.full(2500, x)


def survive(folder: Path, n_kills: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "killed.py"), str(folder), str(n_kills)],
        env=programs.environment(GRIDRUN_FSYNC="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("n_kills", [10, pytest.param(190, marks=pytest.mark.slow)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_kill_9_loses_nothing_reported_tears_nothing_and_computes_nothing_twice(tmp_path: Path, n_kills: int) -> None:
    told = survive(tmp_path, n_kills)
    assert told["kills"] >= n_kills
    assert told["reported_by_the_killed"] > n_kills / 2  # they had come to work
    assert (told["problems"], told["computed_twice"], told["damage"]) == ([], [], [])
    assert told["executions"] >= told["points"]


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(options, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip() if done else 'no mount command'}")
    try:
        yield folder
    finally:
        store._OPEN.clear()
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """The same folder seen through a read-only mount."""
    view = folder.with_name("view")
    view.mkdir()
    for options in (["--bind", str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        done = subprocess.run(["mount", *options, str(view)], capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["umount", "-l", str(view)], capture_output=True, check=False)
            pytest.skip(f"cannot mount a folder read-only: {done.stderr.strip()}")
    try:
        yield view
    finally:
        subprocess.run(["umount", "-l", str(view)], check=True)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("n_points", "n"), [(4000, 10), (100, 5000)], ids=["records", "files"])
def test_a_full_disk_is_named_and_after_some_space_is_freed_the_run_goes_on(
    tmp_path: Path, n_points: int, n: int, n_threads: int
) -> None:
    grid = split([{"n": n}], "a", range(n_points))
    with mounted(tmp_path / "disk", "300k") as disk:
        with pytest.raises(StoreError, match=rf"cannot write {disk}.*disk is full.*what was stored is safe"):
            run(grid, padded, cache_dir=disk / "s", n_threads=n_threads)("{a}", "{n}")
        store._OPEN.clear()
        kept = run(grid, padded, cache_dir=disk / "s", run_mode="load_any", store_key="r")("{a}", "{n}")
        assert 0 < len(kept) < n_points
        assert all(point["r"] == f"{point['a']}," * n for point in kept)
        assert open_store(disk / "s").verify() == []
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        calls.clear()
        assert run(grid, padded, cache_dir=disk / "s")("{a}", "{n}") == [f"{a}," * n for a in range(n_points)]
        assert len(calls) == n_points - len(kept)
        assert not list(disk.rglob("*.part"))


def test_a_disk_too_small_to_begin_with(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "4k") as disk:
        (disk / "filler").write_bytes(b"x" * 4096) if os.statvfs(disk).f_bavail else None
        with pytest.raises(StoreError, match="disk is full"):
            run([{"a": 1, "n": 1}], padded, cache_dir=disk / "s")("{a}", "{n}")
        assert calls == []


def test_a_read_only_store_serves_hits_and_refuses_misses_before_computing(tmp_path: Path) -> None:
    grid = split([{}], "a", range(5))
    run(grid, large, cache_dir=tmp_path / "s")("{a}")
    calls.clear()
    with read_only(tmp_path / "s") as view:
        assert [r[0] for r in run(grid, large, cache_dir=view)("{a}")] == [0, 1, 2, 3, 4]
        assert len(run(grid, large, cache_dir=view, run_mode="load", store_key="r")("{a}")) == 5
        more = [*grid, {"a": 9}]
        assert [s.state for s in explain(more, large, cache_dir=view)("{a}")] == ["cached"] * 5 + ["missing"]
        for mode, points in (("normal", more), ("force", grid)):
            with pytest.raises(StoreError, match="read-only: choose another store with cache_dir= or GRIDRUN_SESS"):
                run(points, large, cache_dir=view, run_mode=mode)("{a}")
        with pytest.raises(NotComputed, match="1 of 6"):
            run(more, large, cache_dir=view, run_mode="load")("{a}")
        with pytest.raises(StoreError, match="read-only"):
            run([{"a": 1, "n": 1}], padded, cache_dir=view)("{a}", "{n}")
        assert calls == [] and open_store(view).verify() == []


def test_damage_in_a_read_only_store_is_an_error_and_never_a_value(tmp_path: Path) -> None:
    run([{"a": 1}], large, cache_dir=tmp_path / "s")("{a}")
    (file,) = tmp_path.glob("s/objects/*/*")
    raw = bytearray(file.read_bytes())
    raw[5000] ^= 8
    file.write_bytes(raw)
    with read_only(tmp_path / "s") as view:
        for mode in ("normal", "load"):
            with pytest.raises((StoreError, NotComputed)):
                run([{"a": 1}], large, cache_dir=view, run_mode=mode)("{a}")
        assert run([{"a": 1}], large, cache_dir=view, run_mode="load_any")("{a}") == []


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = tmp_path / "s"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="no permission: choose another store"):
        run([{"a": 1}], large, cache_dir=folder)("{a}")


def test_a_store_where_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("not a folder")
    with pytest.raises(OSError):
        run([{"a": 1}], large, cache_dir=tmp_path / "s")("{a}")
    assert calls == []


def test_train_scripts_killed_again_and_again_come_to_the_end(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "s"
    script = programs.write(
        tmp_path / "train.py",
        f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import light
        from gridrun import run, split
        print(run(split([{{}}], "a", range(12)), light.slow, cache_dir={str(folder)!r}, n_threads=2,
                  backend=sys.argv[1])("{{a}}", {str(log)!r}))
        """,
    )
    import time

    for round_, backend in enumerate(["threads", "processes", "threads"]):
        program = programs.start(script, backend)
        end, seen = time.monotonic() + 30, len(light.lines(log))
        while len(light.lines(log)) <= seen + 1 and program.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        os.killpg(program.pid, 9)
        program.communicate()
        n_started = sum(line.startswith("start") for line in light.lines(log))
        assert n_started <= 12 + 4 * (round_ + 1)
    assert programs.python(script, "threads").strip() == str(list(range(12)))
    store._OPEN.clear()
    assert [d for d in open_store(folder).verify() if "torn end" not in d.what] == []
