"""Arrays whose submitter did not live to note their jobs: found by their names, or submitted after all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import SubmissionFailed
from .history import replayed
from .submit import submit_arrays

if TYPE_CHECKING:
    from .case import Case

UNKNOWN_S = 30.0  # how long the scheduler may take to list an array that somebody began to submit


def find_jobs(case: Case, now: float, say: Callable[[str], Any]) -> None:
    """Note the jobs that the scheduler knows by name; `case.missing_since` keeps those that it may list yet.

    Raises SchedulerDown.
    """
    history = case.history
    lost = [s for s in case.sent if s.number in history.tried and s.number not in {**history.jobs, **history.refused}]
    found = case.backend.find([sent.name for sent in lost]) if lost else {}
    for sent in lost:
        if sent.name in found:
            case.submission.note("submitted", array=sent.number, job=found[sent.name], found=True)
            say(f"{sent.name} was submitted as job {found[sent.name]} before its submitter ended")
        elif now - case.missing_since.setdefault(sent.number, now) < UNKNOWN_S:
            continue
        case.missing_since.pop(sent.number, None)
    case.history = replayed(case.submission.events())


def submit_rest(case: Case, say: Callable[[str], Any]) -> None:
    """Submit the arrays that no job is known of and that still have something to do; a refusal is noted.

    Raises SchedulerDown.
    """
    try:
        n_sent = submit_arrays(case.submission, case.backend, case.profile, case.has_open)
        if n_sent:
            say(f"{case.submission.token}: submitted what was not submitted yet")
    except SubmissionFailed:
        pass  # noted with its reason, and its points are given up
    finally:
        case.history = replayed(case.submission.events())
