"""Sending, following, judging, trying again, giving up: with a scheduler that is this process."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
import sent_points as points
from sending import Clock, case_of, follower, patient, profile, sent

from gridrun import StoreError, UsageError, explain, run
from gridrun.dispatch import worker
from gridrun.dispatch.base import JobState, SchedulerDown, SubmissionFailed
from gridrun.dispatch.elsewhere import failures
from gridrun.dispatch.follow import Follower
from gridrun.dispatch.inprocess import InProcess
from gridrun.dispatch.queue import queued
from gridrun.dispatch.submission import submissions
from gridrun.dispatch.submit import draft, send
from gridrun.runner import Options
from gridrun.store import open_store
from gridrun.sweep import Sweep

GRID = [{"x": x} for x in range(6)]
ONE_EACH = profile(settings={"chunk": 1})


def test_what_was_sent_is_what_a_local_run_gives(sessions: Path) -> None:
    submission = sent(GRID, points.square, InProcess())
    assert run(GRID, points.square, run_mode="load")("{x}") == [0, 1, 4, 9, 16, 25]
    plan = draft(GRID, points.square, profile=profile(), backend=InProcess())("{x}")
    assert (plan.n_points, plan.n_done, plan.scripts(), send(plan)) == (0, 6, [], None)
    assert [s.token for s in submissions(sessions)] == [submission.token]


def test_a_task_that_dies_is_tried_again_and_nothing_else_is(sessions: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    backend, clock = InProcess(lose=[("1", 2)]), Clock()
    submission = sent(GRID, points.square, backend, profile=ONE_EACH)
    assert explain(GRID, points.square)("{x}")[2].state == "pending"
    looking, said = follower(submission, backend, clock)
    assert looking.look().counts == {**dict.fromkeys(looking.look().counts, 0), "done": 5, "running": 1}
    clock.now += 40  # the first look only raised a suspicion
    view = patient(looking, clock)
    assert view.counts["done"] == 6 and submission.is_closed
    assert sorted((tmp_path / "calls").read_text().split()) == list("012345")
    assert any("again as it was" in line for line in said)


def test_without_retry_a_dead_task_is_called_lost_and_left_alone() -> None:
    backend, clock = InProcess(lose=[("1", 2)]), Clock()
    submission = sent(GRID, points.square, backend, profile=ONE_EACH)
    looking, _ = follower(submission, backend, clock, retry=False)
    looking.look()
    clock.now += 40
    view = looking.look()
    assert (view.counts["lost"], view.finished, len(backend.submitted)) == (1, False, 1)
    lost = next(task for task in view.tasks if task.state == "lost")
    assert lost.task_id == "1_2" and "gridrun resume" in lost.detail


def test_a_hopeless_point_is_given_up_with_its_log_and_stored_as_failed() -> None:
    backend, clock = InProcess(lose=[(str(job), 0) for job in range(1, 10)]), Clock()
    submission = sent(GRID[:1], points.square, backend)
    (submission.folder / "0" / "logs" / "1_0.log").write_text("Segmentation fault\n")
    looking, said = follower(submission, backend, clock)
    view = patient(looking, clock)
    assert view.counts["failed"] == 1
    assert len(backend.submitted) == 4  # once, and three retries
    state = explain(GRID[:1], points.square)("{x}")[0]
    assert state.state == "failed" and "4 times" in state.detail
    assert "the log" in said[-1]


def test_memory_is_raised_and_then_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, clock = InProcess(lose=[("1", 0)], cause="memory"), Clock()
    submission = sent(GRID[:1], points.square, backend, profile=profile(settings={"mem_gb": 4}))
    looking, said = follower(submission, backend, clock)
    assert patient(looking, clock).counts["done"] == 1
    assert [s.settings.mem_gb for s in case_of(submission, backend).sent] == [4.0, 6.0]
    assert "6 GB" in said[0]


def test_a_point_that_raises_for_want_of_memory_is_tried_with_more_up_to_the_cap(tmp_path: Path) -> None:
    backend, clock = InProcess(), Clock()
    capped = profile(settings={"mem_gb": 4}, max_mem_gb=8)
    submission = sent([{"x": 1}], points.hungry, backend, profile=capped)
    looking, said = follower(submission, backend, clock)
    view = patient(looking, clock)
    assert [s.settings.mem_gb for s in case_of(submission, backend).sent] == [4.0, 6.0, 8.0]
    assert view.counts["failed"] == 1 and "max_mem_gb" in next(view.points()).detail


def test_an_exception_in_the_users_code_is_not_tried_again() -> None:
    backend, clock = InProcess(), Clock()
    submission = sent([{"x": 13}, {"x": 1}], points.square, backend)
    view = patient(follower(submission, backend, clock)[0], clock)
    assert view.counts["failed"] == 1 and view.counts["done"] == 1 and len(backend.submitted) == 1
    assert explain([{"x": 13}], points.square)("{x}")[0].detail == "ValueError: unlucky"
    again = draft([{"x": 13}], points.square, profile=profile(), backend=backend)("{x}")
    assert again.n_points == 1  # it may be asked for again, by hand


@pytest.mark.parametrize("last_event", ["", "submitting"])
def test_a_submitter_that_died_before_the_scheduler_heard_is_replaced(last_event: str) -> None:
    backend, clock = Deaf(), Clock()
    with pytest.raises(KeyboardInterrupt):
        sent(GRID, points.square, backend)
    submission = submissions(open_store().path)[0]
    path = submission.folder / "events.jsonl"
    if not last_event:
        path.unlink()
    backend.is_deaf = False
    view = patient(follower(submission, backend, clock)[0], clock)
    assert view.counts["done"] == 6 and len(backend.submitted) == 1


def test_a_submitter_that_died_before_it_noted_the_job_is_not_repeated() -> None:
    backend, clock = InProcess(), Clock()
    submission = sent(GRID, points.square, backend)
    path = submission.folder / "events.jsonl"
    path.write_bytes(path.read_bytes().partition(b'{"event": "submitted"')[0])
    looking, said = follower(submission, backend, clock)
    assert patient(looking, clock).counts["done"] == 6
    assert len(backend.submitted) == 1


def test_a_lost_job_is_found_by_its_name() -> None:
    backend, clock = InProcess(lose=[("1", 0)]), Clock()
    submission = sent(GRID[:1], points.square, backend)
    path = submission.folder / "events.jsonl"
    path.write_bytes(path.read_bytes().partition(b'{"event": "submitted"')[0])
    looking, said = follower(submission, backend, clock)
    looking.look()
    assert "before its submitter ended" in said[0] and len(backend.submitted) == 1
    assert patient(looking, clock).counts["done"] == 1


def test_a_scheduler_that_does_not_answer_makes_nothing_fail() -> None:
    backend, clock = Deaf(lose=[("1", 0)]), Clock()
    backend.is_deaf = False
    submission = sent(GRID[:1], points.square, backend)
    looking, _ = follower(submission, backend, clock)
    backend.is_down = True
    for _ in range(5):
        view = looking.look()
        clock.now += 60
        assert view.problem == "the scheduler is down" and view.counts["failed"] == view.counts["lost"] == 0
    backend.is_down = False
    assert patient(looking, clock).counts["done"] == 1


def test_a_refused_submission_says_why_and_queues_nothing() -> None:
    backend = Refusing()
    with pytest.raises(SubmissionFailed, match="invalid partition"):
        sent(GRID, points.square, backend)
    assert queued(open_store()) == {}
    assert submissions(open_store().path)[0].is_closed


def test_cancelled_points_are_not_computed_and_can_be_sent_again() -> None:
    backend, clock = InProcess(lose=[("1", index) for index in range(6)]), Clock()
    submission = sent(GRID, points.square, backend, profile=ONE_EACH)
    backend.tasks = {name: task._replace(state=JobState("pending")) for name, task in backend.tasks.items()}
    looking, _ = follower(submission, backend, clock)
    assert looking.cancel(["1_2"]) == ["1_2"]
    assert looking.look().counts["cancelled"] == 1
    point = next(p for p in looking.look().points() if p.task_id == "1_4")
    assert looking.cancel([point.id[:8]]) == ["1_4"]
    assert looking.cancel(None, only="running") == []
    assert len(looking.cancel()) == 4
    assert looking.look().finished and submission.is_closed
    assert draft(GRID, points.square, profile=profile(), backend=backend)("{x}").n_points == 6


def test_a_task_that_a_full_disk_ends_is_tried_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, clock = InProcess(), Clock()
    with monkeypatch.context() as full:
        full.setattr(worker, "open_store", lambda path: no_space(path))
        submission = sent(GRID, points.square, backend, profile=profile(settings={"mem_gb": 3}))
    looking, said = follower(submission, backend, clock)
    assert patient(looking, clock).counts["done"] == 6
    assert "the disk is full" in said[0]
    assert {sent.settings.mem_gb for sent in case_of(submission, backend).sent} == {3.0}


def test_points_of_a_buried_task_are_sent_again_by_who_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The follower ended (here of a full disk) after it noted a death, before it sent the points again."""
    backend, clock = InProcess(lose=[("1", 2)]), Clock()
    submission = sent(GRID, points.square, backend, profile=ONE_EACH)
    looking, _ = follower(submission, backend, clock)
    with monkeypatch.context() as full:
        full.setattr("gridrun.dispatch.submission.Submission.add_array", raises_no_space)
        with pytest.raises(StoreError, match="full"):
            patient(looking, clock)
    after, _ = follower(submission, backend, clock)
    assert patient(after, clock).counts["done"] == 6
    assert len(backend.submitted) == 2


def raises_no_space(*args: object) -> None:
    raise StoreError("the disk is full")


def test_a_task_that_can_never_begin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, clock = InProcess(), Clock()
    monkeypatch.setattr(worker, "open_store", lambda path: 1 / 0)
    looking, said = follower(sent(GRID[:2], points.square, backend), backend, clock)
    view = patient(looking, clock)
    assert view.counts["failed"] == 2 and len(backend.submitted) < 12
    assert "ZeroDivisionError" in said[0]


def test_a_refused_second_array_is_given_up_and_the_first_goes_on() -> None:
    backend, clock = RefusingOne(), Clock()
    three = profile(max_array=2, settings={"chunk": 1})
    with pytest.raises(SubmissionFailed, match="invalid account"):
        sent(GRID, points.square, backend, profile=three)
    submission = submissions(open_store().path)[0]
    view = patient(follower(submission, backend, clock)[0], clock)
    assert (view.counts["done"], view.counts["failed"], view.finished) == (4, 2, True)
    assert {point.detail for point in view.points() if point.state == "failed"} == {
        "the scheduler refused: invalid account"
    }
    assert draft(GRID, points.square, profile=three, backend=backend)("{x}").n_points == 2


def test_a_limit_on_submitted_jobs_is_waited_for() -> None:
    backend, clock = RefusingOne("Job violates accounting/QOS policy (job submit limit, user's size)"), Clock()
    with pytest.raises(SchedulerDown, match="submit limit"):
        sent(GRID, points.square, backend, profile=profile(max_array=2, settings={"chunk": 1}))
    submission = submissions(open_store().path)[0]
    assert patient(follower(submission, backend, clock)[0], clock).counts["done"] == 6


def test_what_an_unfollowed_submission_has_done_can_be_forced_and_mended(sessions: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    first = sent(GRID, points.square, InProcess())
    assert not first.is_closed
    again = draft(GRID, points.square, profile=profile(), backend=InProcess(), force=True)("{x}")
    assert (again.n_points, dict(again.queued)) == (6, {})
    send(again)
    assert len((tmp_path / "calls").read_text().split()) == 12
    for segment in sessions.glob("segments/*"):
        segment.write_bytes(b"garbage")
    open_store().forget()
    assert draft(GRID, points.square, profile=profile(), backend=InProcess())("{x}").n_points == 6  # 12


def test_chunks_that_can_never_begin_stay_together_and_end() -> None:
    backend, clock = InProcess(lose=[(str(job), index) for job in range(1, 20) for index in range(2)]), Clock()
    submission = sent([{"x": x} for x in range(40)], points.square, backend, profile=profile(settings={"chunk": 20}))
    view = patient(follower(submission, backend, clock)[0], clock)
    assert view.counts["failed"] == 40
    assert sum(len(each.tasks) for each in case_of(submission, backend).sent) == 2 * 4  # once, and three retries


def test_a_failed_cancellation_can_be_tried_again() -> None:
    backend, clock = Uncancellable(lose=[("1", index) for index in range(6)]), Clock()
    submission = sent(GRID, points.square, backend, profile=ONE_EACH)
    backend.tasks = {name: task._replace(state=JobState("pending")) for name, task in backend.tasks.items()}
    looking, _ = follower(submission, backend, clock)
    with pytest.raises(SchedulerDown):
        looking.cancel()
    backend.is_broken = False
    assert len(looking.cancel()) == 6 and {task.state.phase for task in backend.tasks.values()} == {"ended"}


def test_a_job_that_nobody_noted_is_cancelled_too() -> None:
    backend, clock = InProcess(lose=[("1", 0)]), Clock()
    submission = sent(GRID[:1], points.square, backend)
    path = submission.folder / "events.jsonl"
    path.write_bytes(path.read_bytes().partition(b'{"event": "submitted"')[0])
    backend.tasks["1_0"] = backend.tasks["1_0"]._replace(state=JobState("pending"))
    assert follower(submission, backend, clock)[0].cancel() == ["1_0"]
    assert backend.tasks["1_0"].state.cause == "cancelled"


def test_a_point_that_is_sent_again_is_not_settled_by_its_first_failure() -> None:
    backend, clock = InProcess(lose=[("2", 0)]), Clock()
    first = sent([{"x": 13}, {"x": 5}], points.square, backend)
    second = sent([{"x": 13}], points.square, backend)
    looking = Follower([first, second], backend=backend, clock=clock)
    sweep = Sweep([{"x": 13}], points.square, Options(load=False), ["{x}"], {})
    sweep.look()
    assert failures(looking.look(), looking, sweep) == {}


def test_what_a_killed_follower_left_is_no_array(tmp_path: Path) -> None:
    submission = sent(GRID, points.square, InProcess(), snapshot=False)
    for name in (".1.part", "code"):
        (submission.folder / name).mkdir()
        (submission.folder / name / "array.json").write_text('{"mine": 1}')
    assert [each.number for each in submission.arrays()] == [0]


def test_a_group_shares_its_submissions(sessions: Path) -> None:
    sessions.mkdir(mode=0o775)
    sessions.chmod(0o2775)
    before = os.umask(0o022)
    try:
        submission = sent(GRID[:1], points.square, InProcess())
    finally:
        os.umask(before)
    files = [path for path in (sessions / "jobs").rglob("*") if path.is_file() and path.suffix != ".log"]
    assert submission.folder / "points.pkl" in files
    assert [str(path) for path in files if not path.stat().st_mode & 0o020] == []


def no_space(path: str) -> None:
    raise StoreError(f"cannot write {path}: the disk is full")


def test_code_that_was_edited_while_queued_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, clock = Deaf(), Clock()
    with pytest.raises(KeyboardInterrupt):
        sent(GRID, points.square, backend)
    submission = submissions(open_store().path)[0]
    manifest = json.loads((submission.folder / "manifest.json").read_bytes())
    manifest["functions"][0]["code"] = "00" * 16
    (submission.folder / "manifest.json").write_text(json.dumps(manifest))
    backend.is_deaf = False
    view = patient(follower(submission, backend, clock)[0], clock)
    assert view.counts["failed"] == 6
    assert "was edited after it was sent" in next(view.points()).detail


def test_two_who_send_the_same_grid_send_each_point_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """14"""
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    backends = [InProcess(), InProcess()]
    plans = [draft(GRID, points.square, profile=profile(), backend=backend)("{x}") for backend in backends]
    threads = [threading.Thread(target=send, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((tmp_path / "calls").read_text().split()) == list("012345")
    assert sum(len(backend.submitted) for backend in backends) == 1


def test_points_of_other_settings_go_into_tasks_of_their_own() -> None:
    grid = [{"x": x, "launch_settings": {"mem_gb": 1 + x % 2}} for x in range(6)]
    plan = draft(
        grid, points.square, profile=profile(settings={"mem_gb": 8, "chunk": 2}), command_line={"queue": "long"},
        backend=InProcess(),
    )("{x}")  # fmt: skip
    assert [(s.mem_gb, s.partition, n_points, n_tasks) for s, n_points, n_tasks in plan.settings] == [
        (1.0, "long", 3, 2),
        (2.0, "long", 3, 2),
    ]


def test_what_is_asked_of_the_scheduler_is_no_input() -> None:
    plain, with_settings = {"point": {"x": 1}}, {"x": 1, "launch_settings": {"mem_gb": 3}}
    assert run(plain, points.of_point)("{point}") == [2]
    assert explain([with_settings], points.of_point)("{*}")[0].state == "cached"
    assert run([with_settings], points.of_point, store_key="y")("{*}")[0]["launch_settings"] == {"mem_gb": 3}


def test_55_points_in_arrays_of_20() -> None:
    """9"""
    plan = draft([{"x": x} for x in range(55)], points.square, profile=profile(max_array=20, settings={"chunk": 1}),
                 backend=InProcess())("{x}")  # fmt: skip
    assert [array.n_tasks for array in plan.arrays] == [20, 20, 15]


def test_known_times_make_the_chunks() -> None:
    run(GRID, points.square)("{x}")
    plan = draft([{"x": x} for x in range(1000)], points.square, profile=profile(), backend=InProcess())("{x}")
    assert len(plan.arrays) == 1 and plan.arrays[0].n_tasks == 1
    assert "the median of 6 before" in plan.note


def test_a_function_that_is_not_cachable_is_refused() -> None:
    with pytest.raises(UsageError, match="not @cachable"):
        draft(GRID, abs, profile=profile(), backend=InProcess())("{x}")


class Deaf(InProcess):
    """A scheduler whose submitter dies before it hears a thing; and one that is down."""

    is_deaf, is_down = True, False

    def submit(self, array, script):  # type: ignore[no-untyped-def]
        if self.is_deaf:
            raise KeyboardInterrupt
        return super().submit(array, script)

    def poll(self, job_ids):  # type: ignore[no-untyped-def]
        if self.is_down:
            raise SchedulerDown("the scheduler is down")
        return super().poll(job_ids)


class RefusingOne(InProcess):
    """Refuses the second array, once."""

    def __init__(self, why: str = "invalid account") -> None:
        super().__init__()
        self.why, self.n_asked = why, 0

    def submit(self, array, script):  # type: ignore[no-untyped-def]
        self.n_asked += 1
        if self.n_asked == 2:
            raise SubmissionFailed(self.why)
        return super().submit(array, script)


class Uncancellable(InProcess):
    is_broken = True

    def cancel(self, ids):  # type: ignore[no-untyped-def]
        if self.is_broken:
            raise SchedulerDown("scancel: access denied")
        super().cancel(ids)


class Refusing(InProcess):
    def submit(self, array, script):  # type: ignore[no-untyped-def]
        raise SubmissionFailed("invalid partition specified: lnog")
