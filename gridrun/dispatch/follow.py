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
from pathlib import Path
from typing import Any

from ..claims import DEAD_AFTER_S
from ..progress import duration
from . import chunks
from .attach import find_jobs, submit_rest
from .base import Backend, JobState, SchedulerDown
from .cancelling import cancel_in
from .case import Case, Dead, PointView, TaskView, states_of
from .ending import give_up
from .history import History, replayed
from .judge import SUSPECT_S
from .queue import n_failures
from .retry import decide
from .settings import Settings
from .submission import Sent, Submission
from .submit import call_of, make_array

PAUSE_S = (5.0, 60.0)  # between looks: the first, and when nothing happens
CLAIMED_S = DEAD_AFTER_S + 30.0  # by then a claim of a process that ended is known to be void
SHOWN = 5  # points that a line names
COUNTED = ("done", "running", "pending", "failed", "cancelled", "lost")


Again = tuple[list[int], Settings, bool]  # points for one new task, its resources, whether it takes them one by one


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
            open_cases = [case for case in self.cases if not case.is_settled]
            problems = [self._attach(case) for case in open_cases] if self.retry else []
            states, more = states_of(open_cases)
            now = self.clock()
            for case in open_cases:
                if id(case) in states:
                    problems.append(self._judge(case, states[id(case)], now))
            self.problem = "; ".join(dict.fromkeys(filter(None, [*problems, *more])))
            for case in self.cases if self.retry else ():
                if case.is_settled and not case.submission.is_closed:
                    case.submission.close("every point is settled")
        return self._view()

    def settle(self, look: Callable[[View], Any] | None = None) -> View:
        """Look until every task was judged, and every array is found or submitted."""
        begun = self.clock()
        while True:
            view = self.look()
            if look is not None:
                look(view)
            undecided = view.suspects or any(case.missing_since for case in self.cases)
            claimed = any(case.claimed for case in self.cases) and self.clock() - begun < CLAIMED_S
            if self.problem or not (undecided or claimed):
                return view
            time.sleep(self.pause_s)

    # ---------------------------------------------------------------------------------------------- lost submissions
    def _attach(self, case: Case) -> str:
        """Find the arrays whose jobs nobody noted, submit those that were never accepted; what was in the way."""
        try:
            find_jobs(case, self.clock(), self.say)
            if not case.missing_since:
                submit_rest(case, self.say)
        except SchedulerDown as error:
            return str(error)
        finally:
            self._give_up_refused(case)
        return ""

    def _give_up_refused(self, case: Case) -> None:
        for number, why in case.history.refused.items():
            points = [n for s in case.sent if s.number == number for task in s.tasks for n in task if case.is_open(n)]
            if points:
                self._give_up(case, points, f"the scheduler refused: {why}")

    # -------------------------------------------------------------------------------------------------------- deaths
    def _judge(self, case: Case, states: dict[str, JobState], now: float) -> str:
        """Judge every task; send again what died; what was in the way of that."""
        dead = case.judge(states, now)
        if not self.retry:
            return ""
        again = [([number], case.settings_of(number), True) for number in case.orphans()]
        for each in case.release(dead) if dead else []:
            again += self._bury(case, each)
        for number in case.memory_failures():
            again += self._failed_for_memory(case, number)
        problem = self._send_again(case, again) if again else ""
        case.history = _history(case)
        case.settle()
        return problem

    def _bury(self, case: Case, dead: Dead) -> list[Again]:
        """Note a death; what of its points is to be computed again, with which resources."""
        where = {"array": dead.sent.number, "index": dead.index, "task": dead.task_id}
        how = {"cause": dead.cause, "raw": dead.raw, "in_flight": chunks.spans(dead.in_flight)}
        case.submission.note("died", **where, **how)
        case.history = _history(case)
        if dead.lease is not None and dead.lease.state == "refused":
            self._give_up(case, dead.unfinished, dead.lease.why, case.log(dead.sent, dead.index))
            return []
        if dead.cause == "cancelled":
            case.submission.note("cancelled", points=chunks.spans(dead.unfinished), by="the scheduler")
            self.say(f"task {dead.task_id} was cancelled at the scheduler")
            return []
        if not dead.has_begun:  # nobody knows which point it was, if any: the task as a whole
            return self._again(case, dead, dead.unfinished, careful=False)
        rest = [number for number in dead.unfinished if number not in dead.in_flight]
        again: list[Again] = [(rest, dead.sent.settings, dead.sent.careful)] if rest else []
        for number in dead.in_flight:
            again += self._again(case, dead, [number], careful=True)
        return again

    def _again(self, case: Case, dead: Dead, points: list[int], careful: bool) -> list[Again]:
        """Points of a dead task, to be tried again; or given up."""
        n_deaths, n_free = (max(counter[n] for n in points) for counter in (case.history.deaths, case.history.free))
        decision = decide(dead.cause, dead.sent.settings, n_deaths, n_free, case.profile)
        self.say(f"task {dead.task_id} ended ({dead.raw or 'without a word'}): {decision.why}")
        if decision.settings is None:
            self._give_up(case, points, decision.why, case.log(dead.sent, dead.index), dead.cause)
            return []
        return [(points, decision.settings, careful)]

    def _failed_for_memory(self, case: Case, number: int) -> list[Again]:
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

    def _give_up(self, case: Case, points: Sequence[int], why: str, log: Path | None = None, cause: str = "") -> None:
        case.submission.note("gave up", points=chunks.spans(points), why=why)
        give_up(case, points, why, log, cause)
        case.history = _history(case)
        shown = ", ".join(case.submission.rows[number].id[:8] for number in points[:SHOWN])
        shown += ", ..." if len(points) > SHOWN else ""
        are, where = "are" if len(points) > 1 else "is", f"; the log: {log}" if log else ""
        self.say(f"point{'s' * (len(points) > 1)} {shown} {are} given up: {why}{where}")

    def _send_again(self, case: Case, again: Sequence[Again]) -> str:
        """New arrays for points of dead tasks, one for each kind of task; what was in the way of submitting them."""
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
            submit_rest(case, lambda line: None)
        except SchedulerDown as error:
            return str(error)
        finally:
            self._give_up_refused(case)
        return ""

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
        return [told for case in self.cases for told in cancel_in(case, ids, only, self.clock())]


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
