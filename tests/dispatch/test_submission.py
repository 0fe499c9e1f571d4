"""The folder of a submission: whole or absent, readable after a crash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import sent_points as points
from sending import ROOT, profile, sent

from gridrun import GridrunWarning, MissingKey, UsageError, run
from gridrun.dispatch.history import replayed
from gridrun.dispatch.inprocess import InProcess
from gridrun.dispatch.queue import queued
from gridrun.dispatch.submission import Submission, find_submission, submissions
from gridrun.dispatch.submit import draft, send
from gridrun.errors import StoreError
from gridrun.store import open_store

GRID = [{"x": x} for x in range(200)]


@pytest.fixture
def submission() -> Submission:
    return sent(GRID, points.square, InProcess())


def test_every_point_is_found_with_its_call(submission: Submission) -> None:
    assert len(submission.rows) == 200
    jobs = submission.jobs([0, 199, 70, 70])
    assert [job.args for job in jobs] == [(0,), (199,), (70,), (70,)]
    assert [job.key for job in jobs] == [submission.rows[n].key for n in (0, 199, 70, 70)]
    assert submission.functions() == [points.square]
    arrays = submission.arrays()
    assert sorted(n for sent in arrays for task in sent.tasks for n in task) == list(range(200))


def test_the_manifest_says_who_sent_what_from_where(submission: Submission) -> None:
    manifest = submission.manifest
    assert manifest["token"] == submission.token and manifest["mode"] == "inprocess"
    assert manifest["functions"][0]["table"] == "square"
    assert manifest["code_record"]["packages"]["gridrun"]
    assert manifest["code_record"]["interpreter"] == os.sys.executable  # type: ignore[attr-defined]


def test_a_submission_is_found_by_the_first_digits_of_its_token(submission: Submission, sessions: Path) -> None:
    assert find_submission(sessions, submission.token[:6]).token == submission.token
    with pytest.raises(MissingKey, match="no submission 'zz'"):
        find_submission(sessions, "zz")


def test_a_torn_line_of_its_events_is_left_out_and_what_follows_is_read(submission: Submission) -> None:
    path = submission.folder / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    submission.note("submitted", array=7, job="99")
    assert replayed(submission.events()).jobs[7] == "99"
    path.write_bytes(b"\xff\x00garbage\n" + whole)
    assert replayed(submission.events()).jobs == {0: "1"}


def test_a_damaged_submission_is_named_and_its_points_can_be_sent_again(submission: Submission, sessions: Path) -> None:
    (submission.folder / "points.idx").write_bytes(b"half a row")
    with pytest.raises(StoreError, match="points.idx is damaged"):
        _ = Submission(submission.folder).rows
    with pytest.warns(GridrunWarning, match="points.idx is damaged.* can be sent again"):
        assert queued(open_store()) == {}
    (submission.folder / "manifest.json").write_bytes(b"{")
    with pytest.raises(StoreError, match="manifest.json cannot be read"):
        _ = Submission(submission.folder).manifest


def test_a_folder_that_was_not_finished_is_no_submission(sessions: Path) -> None:
    (sessions / "jobs" / ".abc.part").mkdir(parents=True)
    (sessions / "jobs" / ".abc.part" / "manifest.json").write_text("{}")
    (sessions / "jobs" / "lock").touch()
    assert submissions(sessions) == []


def test_a_submission_that_came_with_a_copied_store_is_somebody_elses(sessions: Path, tmp_path: Path) -> None:
    submission = sent(GRID[:1], points.square, InProcess(lose=[("1", 0)]))
    assert list(queued(open_store()).values()) == [submission.token]
    copy, moved, link = tmp_path / "copy", tmp_path / "moved", tmp_path / "link"
    shutil.copytree(sessions, copy)
    assert queued(open_store(copy)) == {}
    link.symlink_to(sessions)
    assert len(queued(open_store(link))) == 1
    sessions.rename(moved)
    assert len(queued(open_store(moved))) == 1


def test_what_another_process_finished_since_the_draft_is_not_sent() -> None:
    backend = InProcess()
    plan = draft(GRID[:10], points.square, profile=profile(), root=ROOT, backend=backend)("{x}")
    run(GRID[:4], points.square)("{x}")
    submission = send(plan)
    assert submission is not None and len(submission.rows) == 6
    again = draft(GRID[10:12], points.square, profile=profile(), root=ROOT, backend=backend)("{x}")
    run(GRID[10:12], points.square)("{x}")
    assert send(again) is None


def test_a_point_that_cannot_travel_is_named() -> None:
    import threading

    grid = [{"x": 1, "point": {"x": 1}}, {"x": 2, "point": {"x": 2, "lock": threading.Lock()}}]
    with pytest.raises(UsageError, match="the point with .*2.* cannot be sent to another machine"):
        sent(grid, points.of_point, InProcess(), "{point}")
