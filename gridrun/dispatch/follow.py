"""Following submissions: what became of their points, which tasks died, what is tried again.

A follower may be ended at any moment and another started, anywhere that sees the store: all it knows is in the
submission's folder, the store, and what the scheduler says.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..progress import duration
from . import chunks
from .base import Backend, JobState, SchedulerDown, SubmissionFailed
from .case import Case, Dead, PointView, TaskView, states_of
from .ending import give_up
from .history import History, replayed
from .judge import SUSPECT_S
from .queue import n_failures
from .retry import Decision, decide
from .settings import Settings
from .submission import Sent, Submission
from .submit import call_of, make_array, submit_arrays

PAUSE_S = (5.0, 60.0)  # between looks: the first, and when nothing happens
UNKNOWN_S = 10.0  # between two looks that do not find an array whose submitter died while submitting it
SHOWN = 5  # points that a line names
COUNTED = ("done", "running", "pending", "failed", "cancelled", "lost")


@dataclass
class View:
    """One look at some submissions."""

    cases: Sequence[Case]
    problem: str = ""
    eta_s: float | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def tasks(self) -> list[TaskView]:
        """Every task, with what it does."""
        return [view for case in self.cases for view in case.task_views()]

    def points(self) -> Iterator[PointView]:
        """Every point, with what became of it."""
        for case in self.cases:
            yield from case.point_views()

    @property
    def suspects(self) -> int:
        """How many tasks seem dead, but are not judged yet."""
        return sum(case.suspects for case in self.cases)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to wait for."""
        return all(case.is_settled for case in self.cases)


class Follower:
    """Looks at submissions, and with `retry` also does what is to be done; `say` is told of each event in a line."""

    def __init__(
        self,
        submissions: Sequence[Submission],
        retry: bool = True,
        say: Callable[[str], Any] | None = None,
        backend: Backend | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cases = [Case(submission, backend) for submission in sorted(submissions, key=lambda s: s.token)]
        self.retry, self.clock = retry, clock
        self.say = say or (lambda line: None)
        self.pause_s = PAUSE_S[0]
        self.before: Any = None
        self.problem = ""

    def look(self) -> View:
        """One look: the store, the tasks' leases, the scheduler; what died is tried again, if that was asked for."""
        with contextlib.ExitStack() as stack:
            for case in self.cases if self.retry else ():
                stack.enter_context(case.submission.locked())
            for case in self.cases:
                case.refresh()
            self.problem = ""
            open_cases = [case for case in self.cases if not case.is_settled]
            try:
                if self.retry:
                    for case in open_cases:
                        self._attach(case)
                states = states_of(open_cases)
            except SchedulerDown as error:
                self.problem, states = str(error), {}
            now = self.clock()
            for case in open_cases:
                if id(case) in states:
                    self._judge(case, states[id(case)], now)
            for case in self.cases if self.retry else ():
                if case.is_settled and not case.submission.is_closed:
                    case.submission.close("every point is settled")
        return self._view()

    def settle(self, look: Callable[[View], Any] | None = None) -> View:
        """Look until no task is under suspicion, and no array is neither found nor submitted."""
        while True:
            view = self.look()
            if look is not None:
                look(view)
            if self.problem or not (view.suspects or any(case.missing_since for case in self.cases)):
                return view
            time.sleep(self.pause_s)

    # ---------------------------------------------------------------------------------------------- lost submissions
    def _attach(self, case: Case) -> None:
        """Find the arrays whose submitter did not live to note their jobs; submit those that were never accepted."""
        unknown = [s for s in case.sent if s.number not in case.history.jobs and s.number not in case.history.refused]
        if not unknown:
            return
        tried = [sent for sent in unknown if sent.number in case.history.tried]
        found = case.backend.find([sent.name for sent in tried]) if tried else {}
        for sent in tried:
            if sent.name in found:
                case.submission.note("submitted", array=sent.number, job=found[sent.name], found=True)
                self.say(f"{sent.name} was submitted as job {found[sent.name]} before its submitter ended")
                case.missing_since.pop(sent.number, None)
            elif self.clock() - case.missing_since.setdefault(sent.number, self.clock()) < UNKNOWN_S:
                continue  # the scheduler may not list it yet
            else:
                case.missing_since.pop(sent.number, None)
        case.history = _history(case)
        if case.missing_since:
            return
        try:
            submit_arrays(case.submission, case.backend, case.profile)
            self.say(f"{case.submission.token}: submitted what was not submitted yet")
        except SubmissionFailed as error:
            points = [n for sent in unknown for task in sent.tasks for n in task]
            self._give_up(case, points, f"the scheduler refused: {error}")
        case.history = _history(case)

    # -------------------------------------------------------------------------------------------------------- deaths
    def _judge(self, case: Case, states: dict[str, JobState], now: float) -> None:
        dead = case.judge(states, now)
        if not self.retry:
            return
        again = [([number], case.settings_of(number), True) for number in case.orphans()]
        for each in case.release(dead) if dead else []:
            again += self._bury(case, each)
        for number in case.memory_failures():
            again += self._failed_for_memory(case, number)
        if again:
            self._send_again(case, again)
        case.history = _history(case)
        case.settle()

    def _bury(self, case: Case, dead: Dead) -> list[tuple[list[int], Settings, bool]]:
        """Note a death; what of its points is to be computed again, with which resources."""
        refused = dead.lease is not None and dead.lease.state == "refused"
        where = {"array": dead.sent.number, "index": dead.index, "task": dead.task_id}
        how = {"cause": dead.cause, "raw": dead.raw, "in_flight": chunks.spans(dead.in_flight)}
        case.submission.note("died", **where, **how)
        case.history = _history(case)
        log = case.log(dead.sent, dead.index)
        if refused:
            self._give_up(case, dead.unfinished, dead.lease.why if dead.lease else "", log)
            return []
        if dead.cause == "cancelled":
            case.submission.note("cancelled", points=chunks.spans(dead.unfinished), by="the scheduler")
            self.say(f"task {dead.task_id} was cancelled at the scheduler")
            return []
        rest = [number for number in dead.unfinished if number not in dead.in_flight]
        again = [(rest, dead.sent.settings, False)] if rest else []
        for number in dead.in_flight:
            decision = self._decide(case, number, dead.cause, dead.sent.settings)
            self.say(f"task {dead.task_id} ended ({dead.raw or 'without a word'}): {decision.why}")
            if decision.settings is None:
                self._give_up(case, [number], decision.why, log)
            else:
                again.append(([number], decision.settings, True))
        return again

    def _failed_for_memory(self, case: Case, number: int) -> list[tuple[list[int], Settings, bool]]:
        """A point that raised for want of memory, in a task that lived: again with more, while there is more."""
        settings = case.settings_of(number)
        failures = n_failures(case.store, case.submission.rows[number].key)
        n_deaths = case.history.deaths[number] + 1
        decision = decide("memory", settings, n_deaths, 0, case.profile)
        if decision.settings is None:
            why = f"{decision.why}: {case.failed[number]}"
            case.submission.note("gave up", points=str(number), why=why)
            self.say(f"point {case.submission.rows[number].id[:8]}: {why}")
            case.failed.pop(number)
            return []
        case.submission.note("failed", point=number, failures=failures, cause="memory")
        self.say(f"point {case.submission.rows[number].id[:8]}: {decision.why}")
        case.failed.pop(number)
        return [([number], decision.settings, True)]

    def _decide(self, case: Case, number: int, cause: str, settings: Settings) -> Decision:
        return decide(cause, settings, case.history.deaths[number], case.history.free[number], case.profile)

    def _give_up(self, case: Case, points: Sequence[int], why: str, log: Any = None) -> None:
        case.submission.note("gave up", points=chunks.spans(points), why=why)
        give_up(case, points, why, log)
        case.history = _history(case)
        shown = ", ".join(case.submission.rows[number].id[:8] for number in points[:SHOWN])
        shown += ", ..." if len(points) > SHOWN else ""
        are, where = "are" if len(points) > 1 else "is", f"; the log: {log}" if log else ""
        self.say(f"point{'s' * (len(points) > 1)} {shown} {are} given up: {why}{where}")

    def _send_again(self, case: Case, again: Sequence[tuple[list[int], Settings, bool]]) -> None:
        """New arrays for points of dead tasks, one for each kind of task."""
        kinds: dict[tuple[Settings, bool], list[list[int]]] = {}
        for numbers, settings, careful in again:
            kinds.setdefault((settings, careful), []).append(numbers)
        largest = min(case.backend.max_array(), case.profile.max_array or 10**9)
        submission = case.submission
        for (settings, careful), tasks in kinds.items():
            for part in chunks.split(tasks, largest):
                number = 1 + max(sent.number for sent in case.sent)
                array = make_array(submission.folder, submission.manifest, case.profile, number, len(part), settings)
                sent = Sent(number, array.name, array.folder, part, settings, careful)
                call = call_of(array.folder, case.profile, settings)
                submission.add_array(sent, case.backend.render(array), call)
                case.sent.append(sent)
        try:
            submit_arrays(submission, case.backend, case.profile)
        except SchedulerDown as error:
            self.problem = str(error)
        except SubmissionFailed as error:
            refused = _history(case).refused
            points = [n for sent in case.sent if sent.number in refused for task in sent.tasks for n in task]
            self._give_up(case, [n for n in points if case.is_open(n)], f"the scheduler refused: {error}")

    # ----------------------------------------------------------------------------------------------------- the result
    def _view(self) -> View:
        view = View(self.cases, self.problem)
        counts = dict.fromkeys(COUNTED, 0)
        for case in self.cases:
            for point in case.point_views():
                counts[point.state] += 1
        view.counts = counts
        view.eta_s = self._eta_s(counts)
        moved = counts != self.before
        self.before = counts
        self.pause_s = PAUSE_S[0] if moved else min(1.5 * self.pause_s, PAUSE_S[1])
        if view.suspects or any(case.missing_since for case in self.cases):
            self.pause_s = min(self.pause_s, SUSPECT_S / 2)
        return view

    def _eta_s(self, counts: dict[str, int]) -> float | None:
        """Seconds left, from how long the points before took and how many tasks compute now; None if nobody knows."""
        left = counts["running"] + counts["pending"]
        times = [seconds for case in self.cases for seconds in case.seconds()]
        running = sum(verdict in ("running", "alive") for case in self.cases for verdict in case.verdicts.values())
        if not left or not times or not running:
            return None
        return statistics.fmean(times) * left / running

    # ----------------------------------------------------------------------------------------------------- cancelling
    def cancel(self, ids: Sequence[str] | None = None, only: str | None = None) -> list[str]:
        """Cancel tasks by their ids, points by theirs, or whole submissions by token; None is everything.

        A point that shares its task with others is left out by the task, unless it is at it now; the others go on.
        only: "pending" or "running" tasks. Gives the tasks, or points, that were cancelled. Raises SchedulerDown.
        """
        cancelled: list[str] = []
        for case in self.cases:
            with case.submission.locked():
                case.refresh()
                case.judge(states_of([case]).get(id(case), {}), self.clock())
                chosen = list(_chosen(case, ids, only))
                whole = ids is None and only is None
                points = sorted({n for _, _, numbers in chosen for n in numbers})
                if points:  # first, so that the tasks that go on leave them out
                    case.submission.note("cancelled", points=chunks.spans(points), by="gridrun cancel")
                case.history = _history(case)
                tasks = [case.task_id(s, i) for s, i, _ in chosen if not any(map(case.is_open, s.tasks[i]))]
                tasks = [task for task in tasks if task]
                case.backend.cancel(sorted(set(case.history.jobs.values())) if whole and tasks else tasks)
                case.refresh()
                if case.is_settled and not case.submission.is_closed:
                    case.submission.close("cancelled")
                cancelled += [_told_cancelled(case, *each) for each in chosen]
        return cancelled


def _chosen(case: Case, ids: Sequence[str] | None, only: str | None) -> Iterator[tuple[Sent, int, list[int]]]:
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


def _told_cancelled(case: Case, sent: Sent, index: int, numbers: Sequence[int]) -> str:
    """The task that was cancelled, or the points of it."""
    if any(map(case.is_open, sent.tasks[index])):
        return ", ".join(case.submission.rows[number].id[:8] for number in numbers)
    return case.task_id(sent, index) or f"{sent.name}, task {index}"


def _history(case: Case) -> History:
    return replayed(case.submission.events())


def told(view: View) -> str:
    """A look in a line.

    >>> told(View([], counts={"done": 3, "running": 1, "pending": 0}, eta_s=75))
    '3 done, 1 running, about 1 min 15 s left'
    """
    parts = [f"{number} {state}" for state, number in view.counts.items() if number]
    parts += [f"about {duration(view.eta_s)} left"] if view.eta_s is not None else []
    return ", ".join(parts)

