"""Alive, perhaps dead, or dead."""

from __future__ import annotations

import pytest

from gridrun.dispatch.base import JobState
from gridrun.dispatch.judge import ALIVE_S, LOST_S, STILL_S, SUSPECT_S, Suspicion
from gridrun.dispatch.lease import Lease

ENDED = JobState("ended", "failed", "FAILED")
BEATING, OVER = Lease("running", beat=3), Lease("finished", beat=9)


@pytest.mark.parametrize("phase", ["pending", "running"])
def test_what_the_scheduler_lists_as_going_on_is_never_dead(phase: str) -> None:
    suspicion = Suspicion()
    for now in (0.0, 100.0, 1e6):
        assert suspicion.verdict(JobState(phase), BEATING, still_s=1e6, now=now) == phase


def test_a_death_takes_two_looks_and_a_lease_that_stands_still() -> None:
    suspicion = Suspicion()
    assert suspicion.verdict(ENDED, BEATING, still_s=0.0, now=0.0) == "suspect"
    assert suspicion.verdict(ENDED, BEATING, still_s=STILL_S, now=SUSPECT_S - 1) == "suspect"
    assert suspicion.verdict(ENDED, BEATING, still_s=STILL_S - 1, now=SUSPECT_S) == "suspect"  # it beat a moment ago
    assert suspicion.verdict(ENDED, BEATING, still_s=STILL_S, now=STILL_S) == "dead"


def test_a_scheduler_that_changes_its_mind_clears_the_suspicion() -> None:
    suspicion = Suspicion()
    suspicion.verdict(ENDED, BEATING, 0.0, now=0.0)
    assert suspicion.verdict(JobState("running"), BEATING, 40.0, now=40.0) == "running"
    assert suspicion.verdict(ENDED, BEATING, 50.0, now=50.0) == "suspect"


def test_a_task_that_is_not_listed_any_more_is_judged_the_same_way() -> None:
    suspicion = Suspicion()
    assert suspicion.verdict(None, None, 0.0, now=0.0) == "suspect"
    assert suspicion.verdict(None, None, STILL_S, now=STILL_S) == "dead"


def test_a_task_that_said_its_last_word_needs_no_waiting() -> None:
    assert Suspicion().verdict(ENDED, OVER, 0.0, now=0.0) == "dead"
    assert Suspicion().verdict(JobState("running"), OVER, 0.0, now=0.0) == "running"


def test_what_may_go_on_is_given_a_day() -> None:
    suspicion, suspended = Suspicion(), JobState("alive", raw="SUSPENDED")
    assert suspicion.verdict(suspended, BEATING, ALIVE_S, now=ALIVE_S) == "alive"
    assert suspicion.verdict(suspended, BEATING, ALIVE_S + 1, now=ALIVE_S + 1) == "suspect"


def test_a_word_that_nobody_knows_is_alive_within_a_limit() -> None:
    suspicion, odd = Suspicion(), JobState("unknown", raw="FROBNICATED")
    assert suspicion.verdict(odd, BEATING, LOST_S, now=0.0) == "alive"
    assert suspicion.verdict(odd, BEATING, LOST_S + 1, now=LOST_S) == "suspect"
