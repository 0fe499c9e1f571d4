"""Grids sent to a scheduler that is this process, for tests of what happens then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridrun.dispatch.case import Case
from gridrun.dispatch.follow import Follower, View
from gridrun.dispatch.inprocess import InProcess
from gridrun.dispatch.profile import Profile
from gridrun.dispatch.submission import Submission
from gridrun.dispatch.submit import draft, send

ROOT = Path(__file__).parents[1]


class Clock:
    """A clock that tests put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def profile(**settings: Any) -> Profile:
    return Profile("inprocess", "inprocess", **settings)


def sent(grid: list[dict], function: Any, backend: InProcess, *templates: str, **options: Any) -> Submission:
    """A grid, sent."""
    chosen = options.pop("profile", profile())
    plan = draft(grid, function, profile=chosen, root=ROOT, backend=backend, **options)(*templates or ("{x}",))
    found = send(plan)
    assert found is not None
    return found


def follower(submission: Submission, backend: InProcess, clock: Clock, **options: Any) -> tuple[Follower, list[str]]:
    """A follower of one submission, and the lines that it says."""
    said: list[str] = []
    return Follower([submission], backend=backend, clock=clock, say=said.append, **options), said


def patient(looking: Follower, clock: Clock, most: int = 30) -> View:
    """Look until everything is settled; 16 s pass between looks."""
    for _ in range(most):
        view = looking.look()
        if view.finished:
            return view
        clock.now += 16
    raise AssertionError(f"not finished: {view.counts}, {looking.problem}")


def case_of(submission: Submission, backend: InProcess) -> Case:
    case = Case(submission, backend)
    case.refresh()
    return case
