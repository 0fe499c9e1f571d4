"""What follows the death of a task."""

from __future__ import annotations

import pytest

from gridrun.dispatch.profile import Profile
from gridrun.dispatch.retry import MAX_FREE, decide
from gridrun.dispatch.settings import Settings

PROFILE = Profile("slurm", "slurm", max_mem_gb=10, max_timeout_min=100, retries=3)
ASKED = Settings(mem_gb=4.0, timeout_min=60)


def test_memory_grows_by_half_up_to_the_cap() -> None:
    first = decide("memory", ASKED, 1, 0, PROFILE).settings
    assert first is not None and first.mem_gb == 6.0 and first.timeout_min == 60
    second = decide("memory", first, 2, 0, PROFILE).settings
    assert second is not None and second.mem_gb == 9.0
    third = decide("memory", second, 3, 0, PROFILE).settings
    assert third is not None and third.mem_gb == 10.0
    last = decide("memory", third, 4, 0, PROFILE)
    assert last.settings is None and "10 GB" in last.why and "max_mem_gb" in last.why


def test_time_grows_by_half_and_stays_at_the_cap() -> None:
    first = decide("time", ASKED, 1, 0, PROFILE).settings
    assert first is not None and first.timeout_min == 90 and first.mem_gb == 4.0
    second = decide("time", first, 2, 0, PROFILE).settings
    assert second is not None and second.timeout_min == 100
    third = decide("time", second, 3, 0, PROFILE).settings
    assert third is not None and third.timeout_min == 100  # a training goes on from its checkpoint
    assert decide("time", second, 4, 0, PROFILE).settings is None


def test_a_minute_becomes_more_than_a_minute() -> None:
    assert decide("time", Settings(timeout_min=1), 1, 0, PROFILE).settings == Settings(timeout_min=2)


@pytest.mark.parametrize("cause", ["node", "preempted"])
def test_what_is_not_the_tasks_fault_is_free(cause: str) -> None:
    assert decide(cause, ASKED, 99, 5, PROFILE).settings == ASKED
    assert decide(cause, ASKED, 0, MAX_FREE + 1, PROFILE).settings is None


@pytest.mark.parametrize("cause", ["failed", "completed", ""])
def test_a_point_that_ends_its_task_is_given_up_after_the_retries(cause: str) -> None:
    assert decide(cause, ASKED, 3, 0, PROFILE).settings == ASKED
    assert decide(cause, ASKED, 4, 0, PROFILE).settings is None
