"""gridrun cancel: submissions, tasks, points; all, pending, running."""

from __future__ import annotations

import json

import pytest
from fakes.cluster import Cluster, until
from tiny_study import TinyStudy


def states(lsf: Cluster) -> list[str]:
    return [task["phase"] for task in lsf.tasks()]


@pytest.fixture
def half(away: TinyStudy, lsf: Cluster) -> TinyStudy:
    """Two tasks that run (and wait) at level 0.2, and two that do not run yet."""
    lsf.switch(slots=2)
    away.run("train", "-exp=waves", "-level=0.2", "-mode=lsf", "-seed=0")
    away.run("train", "-exp=waves", "-level=0.2", "-mode=lsf", "-seed=1")
    until(lambda: states(lsf) == ["running", "running"])
    away.run("train", "-exp=rocks", "-level=0.1", "-mode=lsf", "-seed=0")
    away.run("train", "-exp=rocks", "-level=0.1", "-mode=lsf", "-seed=1")
    return away


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--all"], ["ended", "ended", "ended", "ended"]),
        (["--all", "--pending"], ["running", "running", "ended", "ended"]),
        (["--all", "--running"], ["ended", "ended", "pending", "pending"]),
        (["102", "103[1]"], ["running", "ended", "ended", "pending"]),
    ],
)
def test_what_is_named_is_cancelled_and_nothing_else(
    half: TinyStudy, lsf: Cluster, words: list[str], expected: list[str]
) -> None:
    if "--pending" not in words:
        lsf.switch(hold=1)
    done = half.run("cancel", *words)
    assert done.status == 0, done.err
    until(lambda: states(lsf) == expected)
    assert done.out.startswith(f"cancelled {expected.count('ended')} points of {expected.count('ended')} tasks: 10")


def test_a_submission_is_cancelled_by_its_first_digits(half: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    done = half.run("cancel", half.submission().name[:5])
    assert done.status == 0 and done.out.startswith("cancelled 1 point of 1 task: 104[1]\n")
    until(lambda: states(lsf) == ["running", "running", "pending", "ended"])


def test_one_point_of_a_task_is_cancelled_and_the_others_stay(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-mode=lsf", "-launch=chunk=4")
    (away.folder / "go").touch()
    ids = [line.split()[1] for line in away.run("train", "-exp=rocks", "--dry-run", "--all").out.splitlines()[2:]]
    assert len(ids) == 4
    done = away.run("cancel", ids[0])
    assert done.status == 0 and done.out.splitlines()[-1] == "3 pending, 1 cancelled of 4 points"
    lsf.switch(hold="")
    waited = away.run("wait")
    assert waited.status == 1 and waited.out.splitlines()[-1] == "3 done, 1 cancelled of 4 points"
    assert len(away.calls()) == 3


def test_what_was_cancelled_can_be_submitted_again(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-mode=lsf")
    away.run("cancel", "--all")
    assert json.loads(away.run("status", "-exp=rocks", "--format=json").out)[0]["missing"] == 4
    assert "submitted 4 points" in away.run("train", "-exp=rocks", "-mode=lsf").out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "name what to cancel"),
        (["--all", "101"], "name what to cancel"),
        (["--all", "--pending", "--running"], "give one of them"),
        (["999_9"], "no submission, task or point '999_9'"),
        (["abcdef"], "no submission, task or point 'abcdef'"),
        (["ab"], "at least 4 digits"),
    ],
)
def test_what_makes_no_sense_cancels_nothing(away: TinyStudy, lsf: Cluster, words: list[str], error: str) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-mode=lsf")
    done = away.run("cancel", *words)
    assert done.status == 2 and error in done.err
    assert states(lsf) == ["pending"] * 4


def test_nothing_to_cancel(study: TinyStudy) -> None:
    done = study.run("cancel", "--all")
    assert (done.status, done.out) == (0, "nothing to cancel: every submission is finished\n")


def test_a_scheduler_that_is_down_cancels_nothing_and_says_so(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-mode=lsf")
    lsf.switch(down="fail")
    done = away.run("cancel", "--all")
    assert done.status == 1 and "Traceback" not in done.err
    lsf.switch(down="")
    assert json.loads(away.run("status", "-exp=rocks", "--format=json").out)[0]["pending"] == 4
