"""One submission as it is followed: which of its points are settled, how each of its tasks is, what died."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import StoreError
from ..outcome import Failed
from ..record import Record, session_of
from ..segments import FAILURE, RESULT
from ..store import Store, open_store
from .base import Backend, JobState, SchedulerDown
from .ending import log_tail
from .history import History, replayed
from .judge import Suspicion
from .lease import Lease, Watch
from .profile import Profile
from .queue import is_stored, n_failures
from .settings import Settings
from .slurm_states import memory_kill
from .submission import Sent, Submission

OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")
MEMORY_WORDS = ("not enough memory", "out of memory", "Cannot allocate memory")  # of errors with a general name


@dataclass(frozen=True)
class TaskView:
    """A task as it is told to people. state: pending, running, done, failed, cancelled, lost."""

    token: str
    array: int
    index: int
    task_id: str
    state: str
    n_points: int
    n_done: int
    n_failed: int
    detail: str
    log: Path | None


@dataclass(frozen=True)
class PointView:
    """A point as it is told to people; `state` as of tasks."""

    token: str
    number: int
    mark: str
    id: str
    state: str
    task_id: str
    detail: str
    log: Path | None


@dataclass(frozen=True)
class Dead:
    """A task that died with points unfinished; in_flight: those that it was at."""

    sent: Sent
    index: int
    task_id: str
    cause: str
    unfinished: list[int]
    in_flight: list[int]
    lease: Lease | None
    raw: str

    @property
    def has_begun(self) -> bool:
        """Whether it died at some points of its own, and not before the first."""
        return self.lease is not None and bool(self.lease.in_flight)


class Case:
    """A submission with what is known of it now."""

    def __init__(self, submission: Submission, backend: Backend | None = None) -> None:
        from .schedulers import backend_of

        self.submission = submission
        self.profile = Profile.from_dict(submission.manifest["profile"])
        self.backend = backend or backend_of(self.profile)
        self.store: Store = open_store(submission.manifest["store"])
        self.history = History()
        self.sent: list[Sent] = []
        self.states: dict[str, JobState] = {}
        self.suspicions: dict[tuple[int, int], Suspicion] = {}
        self.watch = Watch()
        self.leases: dict[tuple[int, int], Lease | None] = {}
        self.verdicts: dict[tuple[int, int], str] = {}
        self.done: set[int] = set()
        self.failed: dict[int, Failed] = {}
        self.claimed: dict[tuple[int, int], str] = {}  # dead tasks whose points another process computes
        self.missing_since: dict[int, float] = {}  # arrays that nobody knows, since when

    # ------------------------------------------------------------------------------------------------- what is known
    def refresh(self) -> None:
        """Read the events, the arrays and the store anew."""
        self.history = replayed(self.submission.events())
        if len(self.sent) < self.submission.n_arrays():
            self.sent = self.submission.arrays()
        self.store.refresh()
        self.settle()

    def settle(self) -> None:
        """Find the points that have a result, or failed, since they were sent."""
        for number, row in enumerate(self.submission.rows):
            if number in self.done:
                continue
            if row.key not in self.store.index:
                self.failed.pop(number, None)
                continue
            if is_stored(self.store, row):
                self.done.add(number)
                self.failed.pop(number, None)
                continue
            stored = self.store.rows(row.key)
            answered = max(row.failures, self.history.failures.get(number, 0))
            if n_failures(self.store, row.key) > answered:
                frame, newest = max(((f, r) for f, r in stored if r.kind == FAILURE), key=lambda found: found[1].stamp)
                self.failed[number] = Failed(**json.loads(frame.value(newest)))
            else:
                self.failed.pop(number, None)

    @property
    def out(self) -> dict[int, str]:
        """Points that nobody computes any more without being asked, and why."""
        return {**dict.fromkeys(self.history.cancelled, "cancelled"), **self.history.out}

    def is_open(self, number: int) -> bool:
        """Whether a point is neither done, nor failed, nor given up, nor cancelled."""
        return not (
            number in self.done
            or number in self.failed
            or number in self.history.out
            or number in self.history.cancelled
        )

    def has_open(self, sent: Sent) -> bool:
        """Whether an array has a point that is open."""
        return any(self.is_open(number) for task in sent.tasks for number in task)

    def open_jobs(self) -> list[str]:
        """The jobs of the arrays that have an open point."""
        jobs = self.history.jobs
        return [jobs[sent.number] for sent in self.sent if sent.number in jobs and self.has_open(sent)]

    @property
    def open(self) -> list[int]:
        return [number for number in range(len(self.submission.rows)) if self.is_open(number)]

    @property
    def is_settled(self) -> bool:
        """Whether no point is open, and no failure waits for an answer."""
        return not self.open and not self.memory_failures()

    def memory_failures(self) -> list[int]:
        """Points that failed for want of memory and were not answered: that is a task's size, not the user's code."""
        settled = self.out
        return [n for n, failed in self.failed.items() if n not in settled and is_out_of_memory(failed)]

    def tasks(self) -> Iterator[tuple[Sent, int]]:
        """Every task that was not buried."""
        for sent in self.sent:
            for index in range(len(sent.tasks)):
                if (sent.number, index) not in self.history.buried:
                    yield sent, index

    def orphans(self) -> list[int]:
        """Open points that no task has: the follower that buried theirs ended before it sent them again."""
        held = {number for sent, index in self.tasks() for number in sent.tasks[index]}
        return [number for number in self.open if number not in held]

    def settings_of(self, number: int) -> Settings:
        """What the last task asked for that had a point."""
        return next(s.settings for s in reversed(self.sent) if any(number in task for task in s.tasks))

    def task_id(self, sent: Sent, index: int) -> str:
        """The task as the scheduler's commands name it; "" before it was submitted."""
        job = self.history.jobs.get(sent.number)
        return self.backend.task_id(job, index) if job else ""

    def log(self, sent: Sent, index: int) -> Path | None:
        """What a task printed."""
        job = self.history.jobs.get(sent.number)
        return self.backend.log(sent.folder, job, index) if job else None

    # ------------------------------------------------------------------------------------------------------- judging
    def judge(self, states: dict[str, JobState], now: float) -> list[Dead]:
        """How every unfinished task is, by the scheduler's word and its own; those that died."""
        self.states = states
        dead = self._suspected(states, now)
        if not dead:
            return []
        self.store.refresh()  # a task that ended a moment ago may have stored its points since the last look
        self.settle()
        return self._suspected(states, now)

    def release(self, dead: Sequence[Dead]) -> list[Dead]:
        """Void the claims of dead tasks, and take in what was stored; those that left points that nobody computes."""
        marks = [self.submission.rows[number].mark for each in dead for number in each.unfinished]
        held, news = self.store.claims.waiting_for(marks)
        tasks = {each.task_id for each in dead}
        for claim in {claim.id: claim for claim in held.values() if claim.owner.job in tasks}.values():
            self.store.claims.release(claim)
        self.store.refresh(segments=news)
        self.settle()
        elsewhere = {mark: str(claim.owner) for mark, claim in held.items() if claim.owner.job not in tasks}
        found, self.claimed = [], {}
        for each in dead:
            left = [n for n in each.unfinished if self.is_open(n)]
            owners = [owner for n in left if (owner := elsewhere.get(self.submission.rows[n].mark))]
            if owners:
                self.claimed[each.sent.number, each.index] = owners[0]
            elif left:
                found.append(replace(each, unfinished=left, in_flight=[n for n in each.in_flight if n in left]))
        return found

    def _suspected(self, states: dict[str, JobState], now: float) -> list[Dead]:
        dead = []
        for sent, index in self.tasks():
            unfinished = [number for number in sent.tasks[index] if self.is_open(number)]
            name = (sent.number, index)
            if not unfinished or sent.number not in self.history.jobs:
                self.verdicts.pop(name, None)
                continue
            task_id = self.task_id(sent, index)
            state = states.get(task_id)
            if state is not None and state.phase == "pending":  # no lease yet, or one of an earlier start
                self.suspicions.pop(name, None)
                self.verdicts[name] = "pending"
                continue
            lease, still_s = self.watch.look(sent.folder, index, now)
            self.leases[name] = lease
            suspicion = self.suspicions.setdefault(name, Suspicion())
            verdict = self.verdicts[name] = suspicion.verdict(state, lease, still_s, now)
            if verdict == "dead":
                dead.append(self._dead(sent, index, task_id, suspicion.state, lease, unfinished))
        return dead

    def _dead(
        self, sent: Sent, index: int, task_id: str, state: JobState | None, lease: Lease | None, unfinished: list[int]
    ) -> Dead:
        cause, raw = (state.cause, state.raw) if state is not None else ("", "")
        last_word = lease.state if lease is not None else ""
        if last_word == "stopped" and cause in ("", "failed", "completed"):
            cause = "time"
        elif last_word == "broke" and lease is not None:
            cause, raw = "disk" if lease.why.startswith(StoreError.__name__) else "failed", lease.why
        elif cause in ("", "failed") and memory_kill(log_tail(self.log(sent, index))):
            cause = "memory"  # a scheduler without control groups calls it a failure
        in_flight = [n for n in unfinished if lease is not None and n in lease.in_flight] or unfinished
        return Dead(sent, index, task_id, cause, unfinished, in_flight, lease, raw)

    @property
    def suspects(self) -> int:
        """How many tasks may be dead: another look will tell."""
        return sum(verdict == "suspect" for verdict in self.verdicts.values())

    # ------------------------------------------------------------------------------------------------------- telling
    def task_views(self) -> Iterator[TaskView]:
        """Every task, as it is told to people."""
        for sent, index in self.tasks():
            numbers = sent.tasks[index]
            n_done = sum(number in self.done for number in numbers)
            n_failed = sum(number in self.failed or number in self.history.out for number in numbers)
            state, detail = self._task_state(sent, index)
            view = (sent.number, index, self.task_id(sent, index), state, len(numbers), n_done, n_failed, detail)
            yield TaskView(self.submission.token, *view, self.log(sent, index))

    def _task_state(self, sent: Sent, index: int) -> tuple[str, str]:
        numbers = sent.tasks[index]
        if not any(map(self.is_open, numbers)):
            for number in numbers:
                if why := self._why_failed(number):
                    return "failed", why
            return ("cancelled", "") if any(n in self.history.cancelled for n in numbers) else ("done", "")
        if sent.number not in self.history.jobs:
            refused = self.history.refused.get(sent.number)
            return ("failed", f"refused: {refused}") if refused else ("lost", "not submitted; `gridrun resume` does")
        verdict = self.verdicts.get((sent.number, index), "pending")
        said = self.states.get(self.task_id(sent, index))
        word = said.raw or said.reason if said is not None else ""
        if owner := self.claimed.get((sent.number, index)):
            return "running", f"its job ended, but {owner} computes it"
        if verdict == "dead":
            return "lost", f"its job ended ({word or 'the scheduler does not know it'}); `gridrun resume` tries again"
        if verdict == "suspect":
            return "running", "its job seems to have ended; looking again"
        if verdict == "pending":
            return "pending", (said.reason or said.raw) if said is not None else ""
        return "running", word if verdict == "alive" else ""

    def point_views(self) -> Iterator[PointView]:
        """Every point, as it is told to people, with the task that has it now."""
        last = {number: (sent, index) for sent, index in self._all_tasks() for number in sent.tasks[index]}
        states = {(sent.number, index): self._task_state(sent, index) for sent, index in self.tasks()}
        for number, row in enumerate(self.submission.rows):
            sent, index = last.get(number, (None, 0))
            task = states.get((sent.number, index), ("lost", "")) if sent is not None else ("lost", "")
            state, detail = self._point_state(number, task)
            if state == "running" and sent is not None:
                lease = self.leases.get((sent.number, index))
                if lease is not None and number not in lease.in_flight:
                    state = "pending"
            task_id, log = (self.task_id(sent, index), self.log(sent, index)) if sent is not None else ("", None)
            yield PointView(self.submission.token, number, row.mark.hex(), row.id, state, task_id, detail, log)

    def _all_tasks(self) -> Iterable[tuple[Sent, int]]:
        return ((sent, index) for sent in self.sent for index in range(len(sent.tasks)))

    def _point_state(self, number: int, task: tuple[str, str]) -> tuple[str, str]:
        if number in self.done:
            return "done", ""
        if why := self._why_failed(number):
            return "failed", why
        if number in self.history.cancelled:
            return "cancelled", ""
        return task

    def _why_failed(self, number: int) -> str:
        """Why a point failed, or was given up; "" if it was not."""
        failed = self.failed.get(number)
        return self.history.out.get(number, "") or (str(failed) if failed is not None else "")

    def seconds(self, at_most: int = 50) -> list[float]:
        """How long points of this submission took."""
        times = []
        for number in self.done:
            row = self.submission.rows[number]
            found = [(f, r) for f, r in self.store.rows(row.key) if r.kind == RESULT and session_of(f, r) == row.id]
            times += [Record(self.store, row.key, frame, r).seconds for frame, r in found[:1]]
            if len(times) >= at_most:
                break
        return times


def is_out_of_memory(failed: Failed) -> bool:
    """Whether an exception says that memory was short.

    >>> is_out_of_memory(Failed("MemoryError", "", "")), is_out_of_memory(Failed("ValueError", "level", ""))
    (True, False)
    """
    name = failed.error.rpartition(".")[2]
    return name in OUT_OF_MEMORY or name == "RuntimeError" and any(word in failed.message for word in MEMORY_WORDS)


def states_of(cases: Sequence[Case]) -> tuple[dict[int, dict[str, JobState]], list[str]]:
    """What each scheduler says of the tasks of these submissions, asked once each, by the id() of the case; and which
    could not be asked."""
    found: dict[int, dict[str, JobState]] = {}
    problems: list[str] = []
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.backend.name, []).append(case)
    for group in groups.values():
        jobs = [job for case in group for job in case.open_jobs()]
        try:
            states = group[0].backend.poll(jobs) if jobs else {}
        except SchedulerDown as error:
            problems.append(str(error))
            continue
        found.update({id(case): states for case in group})
    return found, problems
