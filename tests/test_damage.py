"""Damaged files: found by their checksums, named, and computed again; never believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from storing import GRID, age, blobs, calls, flip, large, reopened, small

from gridrun import cachable, open_store, run
from gridrun.errors import NotComputed


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


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
