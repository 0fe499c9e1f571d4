"""A task's own file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridrun.dispatch import lease
from gridrun.dispatch.lease import LeaseKeeper, Watch, lease_path, read_lease


def test_a_lease_tells_what_its_task_is_at_and_how_it_ended(tmp_path: Path) -> None:
    keeper = LeaseKeeper(tmp_path, 3, "12_3")
    keeper.at([4, 5, 9])
    found = read_lease(tmp_path, 3)
    assert found is not None
    assert (found.state, found.task, found.in_flight, found.pid) == ("running", "12_3", (4, 5, 9), os.getpid())
    keeper.settled(done=2, failed=1)
    keeper.end("finished", "")
    found = read_lease(tmp_path, 3)
    assert found is not None and found.is_over and (found.done, found.failed, found.in_flight) == (2, 1, ())


def test_a_task_that_is_asked_to_end_says_what_it_was_at(tmp_path: Path) -> None:
    keeper = LeaseKeeper(tmp_path, 0, "12_0")
    keeper.at([7])
    keeper.end("stopped")
    keeper.at([8])  # the last word stays the last
    found = read_lease(tmp_path, 0)
    assert found is not None and (found.state, found.in_flight) == ("stopped", (7,))


def test_it_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    keeper = LeaseKeeper(tmp_path, 0, "1_0")
    beats, end = set(), time.monotonic() + 60
    while len(beats) < 3 and time.monotonic() < end:
        found = read_lease(tmp_path, 0)
        beats |= {found.beat} if found is not None else set()
    keeper.end("finished")
    assert len(beats) == 3


def test_a_watch_goes_by_its_own_clock_whatever_the_clocks_of_others_say(tmp_path: Path) -> None:
    """13: lease times an hour ahead or behind: only a change counts."""
    keeper, watch = LeaseKeeper(tmp_path, 0, "1_0"), Watch()
    for hours in (-1, 1):
        os.utime(lease_path(tmp_path, 0), (1e9 + 3600 * hours, 1e9 + 3600 * hours))
        keeper.lease = keeper.lease._replace(started=keeper.lease.started + 3600 * hours)
        assert watch.look(tmp_path, 0, now=100.0)[1] == 0.0
        assert watch.look(tmp_path, 0, now=120.0)[1] == 20.0
        keeper.at([hours + 1])
        assert watch.look(tmp_path, 0, now=130.0)[1] == 0.0
        watch = Watch()
    keeper.end("finished")


def test_a_full_disk_does_not_end_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = LeaseKeeper(tmp_path, 0, "1_0")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lease, "write_whole", full)
    keeper.at([1])
    keeper.end("finished")
    found = read_lease(tmp_path, 0)
    assert found is not None and found.state == "running"


@given(st.binary(max_size=200))
def test_a_damaged_lease_is_no_lease(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    folder = tmp_path_factory.mktemp("lease")
    path = lease_path(folder, 0)
    path.parent.mkdir()
    path.write_bytes(raw)
    assert read_lease(folder, 0) is None
