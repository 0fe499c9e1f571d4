"""Prepared arrays: built once, checked, never pickled, and only a convenience."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path

import diskcache
import numpy as np
import pytest

from gridrun.data.prepared import cache_folder, prepared

ARRAY = np.arange(20_000, dtype=np.int16).reshape(100, 200)  # 40 kB: a file of its own in diskcache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.n_calls += 1
        return {"x": ARRAY}


def test_built_once_then_read() -> None:
    build = Builder()
    first, second = (prepared("k/1", ["x"], build) for _ in range(2))
    assert build.n_calls == 1
    assert first["x"].tobytes() == second["x"].tobytes() == ARRAY.tobytes()
    assert second["x"].dtype == ARRAY.dtype


def test_another_key_or_a_deleted_folder_builds_again(folder: Path) -> None:
    build = Builder()
    prepared("k/1", ["x"], build)
    prepared("k/2", ["x"], build)
    assert build.n_calls == 2
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    prepared("k/1", ["x"], build)
    assert build.n_calls == 3


def test_a_flipped_bit_is_found_and_built_again(folder: Path) -> None:
    build = Builder()
    prepared("k/1", ["x"], build)
    (stored,) = folder.rglob("*.val")
    data = bytearray(stored.read_bytes())
    data[5000] ^= 4
    stored.write_bytes(data)
    assert np.array_equal(prepared("k/1", ["x"], build)["x"], ARRAY)
    assert build.n_calls == 2


class Bomb:
    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('code from the cache ran')",))


def test_a_planted_pickle_is_not_run(folder: Path) -> None:
    with diskcache.Cache(str(folder)) as cache:
        cache.set("k/1/x", b"anything")
    with sqlite3.connect(folder / "cache.db") as database:
        row = (4, pickle.dumps(Bomb()))  # 4: diskcache's mark of a pickled value
        database.execute("UPDATE Cache SET mode = ?, value = ? WHERE key = 'k/1/x'", row)
    with pytest.raises(SystemExit), diskcache.Cache(str(folder)) as cache:
        cache.get("k/1/x")  # the bomb is live
    assert np.array_equal(prepared("k/1", ["x"], Builder())["x"], ARRAY)


def test_a_folder_that_cannot_be_used_costs_time_only(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="prepared data is not kept"):
        assert np.array_equal(prepared("k/1", ["x"], Builder())["x"], ARRAY)
    assert cache_folder() == folder
