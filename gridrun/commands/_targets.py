"""What people name: a submission by its token, a task as its scheduler calls it, a point by its id."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GridrunError, UsageError

if TYPE_CHECKING:
    from ..dispatch.case import Case
    from ..dispatch.submission import Sent, Submission
    from ..store import Store

TASK = re.compile(r"\d+(_\d+|\[\d+\])?")
DIGITS = re.compile(r"[0-9a-f]+")
LEAST = 4  # digits of a token or an id
LOOK_EVERY_S = 5.0


@dataclass
class Target:
    """What a word means. kind: submission, task (or a whole array), point, result (computed here, not submitted).

    id: in full, as the follower takes it; tasks: those that it means, the oldest first; points: their numbers.
    """

    kind: str
    id: str
    case: Case | None = None
    tasks: list[tuple[Sent, int]] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    log: Path | None = None  # of a result
    looked: float = 0.0

    def logs(self) -> list[Path]:
        """The files of what its tasks printed, the oldest first; of a submission, only of the tasks that failed."""
        if self.case is None:
            return [self.log] if self.log is not None else []
        tasks = list(failed_tasks(self.case)) if self.kind == "submission" else self.tasks
        found = [self.case.log(sent, index) for sent, index in tasks]
        return [path for path in found if path is not None]

    @property
    def alone(self) -> bool:
        """Whether its task computes one point at a time, so that what it prints is in order."""
        return self.case is not None and int(self.case.submission.manifest.get("n_workers", 1)) == 1

    def goes_on(self) -> bool:
        """Whether more may be printed: some point of it is neither done nor given up."""
        if self.case is None:
            return False
        if time.monotonic() - self.looked > LOOK_EVERY_S:
            self.case.refresh()
            self.looked = time.monotonic()
        return any(map(self.case.is_open, self.points))

    def why_no_log(self) -> str:
        """Why logs() is empty."""
        if self.kind == "result":
            return f"{self.id} was computed on this machine, and what it printed went to that terminal"
        if self.kind == "submission" and self.case is not None:
            names = [self.case.task_id(sent, index) for sent, index in self.case.tasks()]
            return f"no task of {self.id} failed; name one of its tasks: {', '.join(names[:3])} ... {names[-1]}"
        return f"{self.id} was not submitted yet: `gridrun resume` does"


def resolve(store: Store, word: str) -> Target:
    """What a word means. Raises UsageError for one that means nothing, or more than one thing."""
    from ..dispatch.submission import submissions

    listed = submissions(store.path)
    cases = list(_cases(listed))
    found = _tasks(cases, word) if TASK.fullmatch(word) else []
    if not found and DIGITS.fullmatch(word.lower()):
        found = _by_digits(store, listed, cases, word.lower())
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(f"{target.kind} {target.id}" for target in found[:4])
        raise UsageError(f"{word!r} may mean {named}: give more digits")
    newest = f"the newest submission is {listed[0].token}" if listed else "nothing was submitted from here"
    raise UsageError(f"no submission, task or point {word!r} in {store.path}; {newest} (`gridrun status --tasks`)")


def _cases(listed: list[Submission]) -> Iterator[Case]:
    from ..dispatch.case import Case
    from ..dispatch.history import replayed

    for submission in listed:
        try:
            case = Case(submission)
            case.history, case.sent = replayed(submission.events()), submission.arrays()
        except GridrunError:
            continue  # damaged: status says so
        yield case


def _tasks(cases: list[Case], word: str) -> list[Target]:
    """A task, or all those of a job, by the scheduler's id."""
    found = []
    for case in cases:
        tasks = [(s, i) for s in case.sent for i in range(len(s.tasks)) if word == case.history.jobs.get(s.number)]
        tasks = tasks or [(s, i) for s in case.sent for i in range(len(s.tasks)) if word == case.task_id(s, i)]
        if tasks:
            points = [number for sent, index in tasks for number in sent.tasks[index]]
            found.append(Target("task", word, case, tasks, points))
    return found[:1]  # the newest, where a scheduler began to count anew


def _by_digits(store: Store, listed: list[Submission], cases: list[Case], digits: str) -> list[Target]:
    if len(digits) < LEAST:
        raise UsageError(f"{digits!r}: give at least {LEAST} digits of a token or an id")
    found = [
        Target("submission", case.submission.token, case, list(case.tasks()), list(range(len(case.submission.rows))))
        for case in cases
        if case.submission.token.startswith(digits)
    ]
    points: dict[str, Target] = {}
    for case in reversed(cases):  # the newest submission of a point counts
        for number, row in enumerate(case.submission.rows):
            if row.id.startswith(digits):
                tasks = [(s, i) for s in case.sent for i, numbers in enumerate(s.tasks) if number in numbers]
                points[row.id] = Target("point", row.id, case, tasks, [number])
    return [*found, *points.values()] or _results(store, digits)


def _results(store: Store, digits: str) -> list[Target]:
    """A point that was computed here."""
    try:
        record = store.record(digits)
    except GridrunError:
        return []
    kept = record.context.get("log") or record.folder / "log.jsonl"
    log = Path(kept)
    return [Target("result", record.id, log=log if log.exists() else None)]


def failed_tasks(case: Case) -> Iterator[tuple[Sent, int]]:
    """The tasks that died, or have points that failed, the oldest first."""
    case.refresh()
    bad = case.failed.keys() | case.history.out.keys()
    for sent in case.sent:
        for index, numbers in enumerate(sent.tasks):
            if (sent.number, index) in case.history.buried or bad.intersection(numbers):
                yield sent, index
