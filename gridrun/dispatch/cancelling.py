"""Calling off: whole submissions, tasks, single points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from . import chunks
from .attach import find_jobs
from .case import states_of
from .history import replayed
from .submission import Sent

if TYPE_CHECKING:
    from .case import Case

Chosen = tuple[Sent, int, list[int]]  # an array, the index of a task, the points to take out


def cancel_in(case: Case, ids: Sequence[str] | None, only: str | None, now: float) -> list[str]:
    """Cancel what `ids` mean in one submission (None: all of it); what was cancelled, in words.

    The scheduler is told first and the cancellation noted then, so that what failed can be tried again. Raises
    SchedulerDown.
    """
    with case.submission.locked():
        case.refresh()
        find_jobs(case, now, lambda line: None)
        states, problem = states_of([case])
        case.judge(states.get(id(case), {}), now)
        chosen = list(_chosen(case, ids, only))
        tasks = [case.task_id(sent, index) for sent, index, numbers in chosen if _is_whole(case, sent, index, numbers)]
        if ids is None and only is None:
            tasks = sorted(set(case.history.jobs.values())) if chosen else []
        case.backend.cancel([task for task in tasks if task])
        points = sorted({number for _, _, numbers in chosen for number in numbers})
        if points:
            case.submission.note("cancelled", points=chunks.spans(points), by="gridrun cancel")
        told = [_told(case, *each) for each in chosen]
        case.history = replayed(case.submission.events())
        if case.is_settled and not case.submission.is_closed:
            case.submission.close("cancelled")
        return told


def _chosen(case: Case, ids: Sequence[str] | None, only: str | None) -> Iterator[Chosen]:
    """The unfinished tasks that ids mean, each with the points to take out."""
    rows = case.submission.rows
    for sent, index in case.tasks():
        numbers = [n for n in sent.tasks[index] if case.is_open(n)]
        if ids is not None:
            names = (case.task_id(sent, index), case.history.jobs.get(sent.number), case.submission.token)
            if not any(name and name in ids for name in names):
                numbers = [n for n in numbers if any(len(each) >= 4 and rows[n].id.startswith(each) for each in ids)]
        state = case.verdicts.get((sent.number, index), "pending")
        if numbers and (only is None or (only == "pending") == (state == "pending")):
            yield sent, index, numbers


def _is_whole(case: Case, sent: Sent, index: int, numbers: Sequence[int]) -> bool:
    """Whether nothing is left of a task without these points."""
    return not any(case.is_open(n) and n not in numbers for n in sent.tasks[index])


def _told(case: Case, sent: Sent, index: int, numbers: Sequence[int]) -> str:
    """The task that was cancelled, or the points of it."""
    if not _is_whole(case, sent, index, numbers):
        return ", ".join(case.submission.rows[number].id[:8] for number in numbers)
    return case.task_id(sent, index) or f"{sent.name}, task {index}"
