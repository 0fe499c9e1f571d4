"""What a task does on its machine: its points, one after another, straight into the store.

Points that the store has are skipped, so a task that is started again goes on where it was. A point that another
process computes is waited for only as long as it takes to tell that it lives; then it is left to it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import Shape
from ..claims import DEAD_AFTER_S
from ..errors import CodeChanged, NotComputed
from ..keying import Keying
from ..lookup import Lookup
from ..machine import job_name
from ..plan import cached_of
from ..progress import Progress, duration
from ..schedule import Schedule, Team
from ..session import SAVED
from ..store import open_store
from ..study import use_root
from ..work import STOPPING, Job, Outcome
from .history import replayed
from .lease import LeaseKeeper
from .submission import Sent, Submission

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

ASKED_S = 1.0  # between two looks whether points were cancelled
OTHERS_S = DEAD_AFTER_S + 30.0  # by then a dead owner of a point is known to be dead


class Task:
    """The call that submitit keeps for every task of an array: nothing but the array's folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self) -> str:
        return run_task(Path(self.folder), task_index())

    def checkpoint(self) -> DelayedSubmission | None:
        """Asked to end, by a time limit or a preemption: the same task again goes on from what is stored.

        None, which ends the task for good, at a time limit that nothing was finished or saved within: the same limit
        would not do the next time either, and whoever follows the submission sends it again with a longer one.
        """
        from submitit.helpers import DelayedSubmission

        STOPPING.set()
        if GAIN is not None and not GAIN.is_worth_another_start():
            print(f"{_clock()} asked to end, with nothing finished or saved; it needs a longer time limit", flush=True)
            return None
        print(f"{_clock()} asked to end; what is not finished goes on from its checkpoint", flush=True)
        return DelayedSubmission(self)


class Gain:
    """What this start of a task has brought so far."""

    def __init__(self, limit_s: float, n_workers: int) -> None:
        self.begun, self.limit_s, self.n_workers = time.monotonic(), limit_s, n_workers
        self.n_finished = 0

    def is_worth_another_start(self) -> bool:
        """Whether the same again would bring more: a point was finished, or saved itself; or it was stopped before
        its time, which is no limit's doing. What child processes saved is not known here."""
        is_early = time.monotonic() - self.begun < 0.7 * self.limit_s
        return is_early or self.n_workers > 1 or bool(self.n_finished or SAVED)


GAIN: Gain | None = None


def task_index() -> int:
    """Which task of its array this process is, from 0. Raises KeyError outside an array."""
    if "SLURM_ARRAY_TASK_ID" in os.environ:
        return int(os.environ["SLURM_ARRAY_TASK_ID"])
    return int(os.environ["LSB_JOBINDEX"]) - 1


def run_task(array_folder: Path, index: int) -> str:
    """Compute the points of one task. Gives a line on what became of them."""
    submission = Submission(array_folder.parent)
    sent = next(each for each in submission.arrays() if each.folder == array_folder)
    keeper = LeaseKeeper(array_folder, index, job_name())
    state, why = "stopped", ""
    try:
        state, why = "finished", _compute(submission, sent, sent.tasks[index], keeper)
    except Exception as error:
        if not STOPPING.is_set():
            state = "refused" if isinstance(error, (CodeChanged, ImportError)) else "broke"
            why = f"{type(error).__name__}: {error}"
        raise
    finally:
        keeper.end(state, why)
    return why


def _compute(submission: Submission, sent: Sent, numbers: Sequence[int], keeper: LeaseKeeper) -> str:
    manifest = submission.manifest
    enter(manifest["code"])
    store = open_store(manifest["store"])
    teams = [Room(function, submission, store) for function in _functions(submission)]
    number_of = {submission.rows[number].mark: number for number in numbers}
    work = [
        (teams[submission.rows[number].function].team(sent.careful), job)
        for number, job in zip(numbers, submission.jobs(numbers))
    ]
    open_work = [(team, job) for team, job in work if not team.is_done(job)]
    print(f"{_clock()} {keeper.lease.task}: {len(open_work)} of {len(work)} points to compute", flush=True)
    keeper.settled(done=len(work) - len(open_work))
    global GAIN
    n_workers = int(manifest.get("n_workers", 1))
    GAIN = Gain(60.0 * sent.settings.timeout_min, n_workers)
    teller = Teller(keeper, number_of, GAIN)
    schedule = Schedule(
        store,
        teller.deliver,
        Progress("task", len(work), 0, False),
        n_workers,
        "processes",
        keep=False,
        wait_s=OTHERS_S,
        on_start=teller.at,
    )
    try:
        schedule.run(open_work)
    except NotComputed as error:
        teller.left = str(error)
    return teller.line()


def enter(root: str) -> None:
    """Let the study's modules be imported as where it was sent from."""
    if root not in sys.path:
        sys.path.insert(0, root)
    use_root(root)


def _functions(submission: Submission) -> list[Any]:
    """The functions, as they are now. Raises CodeChanged if one is not what it was when it was sent."""
    functions = submission.functions()
    for function, then in zip(functions, submission.manifest["functions"]):
        cached = cached_of(function)
        if cached is None or cached.fingerprint.digest.hex() != then["code"]:
            raise CodeChanged(
                f"{then['table']} was edited after it was sent; its points were asked for with the code as it was: "
                "cancel them and send them again (--snapshot keeps a copy of the code, so that editing is safe)"
            )
    return functions


class Room:
    """One function of a submission, with what the store says of its points."""

    def __init__(self, function: Any, submission: Submission, store: Any) -> None:
        cached = cached_of(function)
        assert cached is not None
        self.cached = cached
        self.lookup = Lookup(self.cached, store)
        self.submission = submission
        self.cancelled: tuple[int, set[bytes]] = (-1, set())
        self.asked = -ASKED_S
        self.keyings: dict[Shape, Keying] = {}
        self._team: Team | None = None

    def team(self, careful: bool = False) -> Team:
        """The function's team (one for all its points); a careful one takes its points one by one."""
        if self._team is None:
            self._team = Team(self.cached.function, self.cached, self.lookup.context, self.is_done)
        if careful:
            self._team.most = 1
        return self._team

    def is_done(self, job: Job) -> bool:
        """Whether the store has the result that a job is for, whole; or nobody wants it any more."""
        if job.mark in self._cancelled():
            return True
        shape: Shape = (len(job.args), tuple(job.kwargs))
        if shape not in self.keyings:
            self.keyings[shape] = Keying(self.cached, *shape)
        return self.lookup.has(job.key, job.generation, self.keyings[shape], [*job.args, *job.kwargs.values()])

    def _cancelled(self) -> set[bytes]:
        """The marks of the points that were cancelled, as of now."""
        now = time.monotonic()
        if now - self.asked < ASKED_S:
            return self.cancelled[1]
        self.asked, size = now, self.submission.events_size()
        if size != self.cancelled[0]:
            numbers = replayed(self.submission.events()).cancelled
            self.cancelled = size, {self.submission.rows[number].mark for number in numbers}
        return self.cancelled[1]


class Teller:
    """Tells of each point in the task's log and lease."""

    def __init__(self, keeper: LeaseKeeper, number_of: dict[bytes, int], gain: Gain) -> None:
        self.keeper, self.number_of, self.gain = keeper, number_of, gain
        self.done = self.failed = 0
        self.left = ""
        self.begun = time.monotonic()

    def at(self, jobs: list[Job]) -> None:
        """These points are in flight now."""
        self.keeper.at([self.number_of[job.mark] for job in jobs])
        if len(jobs) == 1:
            print(f"{_clock()} point {jobs[0].session[:8]}  {_settings(jobs[0])}", flush=True)

    def deliver(self, team: Team, job: Job, outcome: Outcome | None) -> None:
        """A point is finished, here or elsewhere."""
        failed = outcome is not None and outcome.failed is not None
        self.done += not failed
        self.failed += failed
        self.keeper.settled(done=not failed, failed=failed)
        self.gain.n_finished += 1
        if outcome is not None and outcome.failed is not None:
            print(f"{_clock()} point {job.session[:8]} failed\n{outcome.failed.traceback}", flush=True)

    def line(self) -> str:
        """What became of the points, in a line for the log and the lease."""
        parts = [f"{self.done} done"]
        parts += [f"{self.failed} failed"] if self.failed else []
        text = f"{', '.join(parts)} in {duration(time.monotonic() - self.begun)}"
        text = f"{text}; {self.left}" if self.left else text
        print(f"{_clock()} {text}", flush=True)
        return self.left


def _settings(job: Job) -> str:
    """What a point depends on, short."""
    named = job.dependencies if isinstance(job.dependencies, dict) else {}
    words = [f"{key.rpartition(':')[2]}={value}" for key, value in named.items()]
    return " ".join(word for word in words if len(word) < 40)[:400]


def _clock() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
