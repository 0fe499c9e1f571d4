"""Getting missing points computed, each by one process: claim a block, compute it, release it, take the next.

Blocks grow until they take about BLOCK_S, so that a claim and a write to disk cost little beside the work, and
another process that wants the same points always finds some to do.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from .cache import Cached
from .claims import Claim
from .dispatch.local import close_pool, make_pool, make_process_pool
from .errors import NotComputed, UsageError, WorkerDied
from .machine import machine_id
from .outcome import Failed
from .progress import Progress
from .store import Store
from .work import HERE, Job, Outcome, compute_block, compute_plain

BLOCK_S = 0.5
MAX_BLOCK = 2048
CLAIM_SHARE = 25  # a block takes at least this many times what its claim cost, which rises where many take turns
POLL_S = (0.02, 1.0)


@dataclass
class Team:
    """The points of one function: `lookup` answers whether another process has finished one meanwhile."""

    function: Callable[..., Any]
    cached: Cached | None = None
    context: bytes = b""
    is_done: Callable[[Job], bool] = lambda job: False
    size: int = 1  # of the next block
    most: int = MAX_BLOCK


@dataclass
class Block:
    team: Team
    jobs: list[Job]
    claim: Claim | None
    started: float = field(default_factory=time.monotonic)


class Schedule:
    """Computes jobs on a pool; outcomes are handed to `deliver` as they come, in the caller's thread.

    on_start: told of all jobs in flight whenever some more begin.
    """

    def __init__(
        self,
        store: Store | None,
        deliver: Callable[[Team, Job, Outcome | None], None],
        progress: Progress,
        n_workers: int = 1,
        backend: str = "threads",
        keep: bool = True,
        wait_s: float | None = None,
        on_start: Callable[[list[Job]], None] | None = None,
    ) -> None:
        self.store, self.deliver, self.progress = store, deliver, progress
        self.on_start = on_start
        self.n_workers, self.backend, self.wait_s = n_workers, backend, wait_s
        self.in_processes = n_workers > 1 and backend == "processes"
        self.keep = keep and not self.in_processes
        self.pending: deque[tuple[Team, Job]] = deque()
        self.elsewhere: dict[bytes, tuple[Team, Job]] = {}
        self.in_flight: dict[Future[Any], Block] = {}
        self.pause = POLL_S[0]
        self.waited_since: float | None = None
        self.has_looked = False  # at everything in the store, since this run began
        self.claim_s = 0.0  # what the last claim cost: blocks grow with it

    def run(self, work: list[tuple[Team, Job]]) -> None:
        """Compute all of `work`. Raises NotComputed if another process holds points for longer than `wait_s`."""
        self.pending.extend(work)
        self.pool = make_pool(self.n_workers, self.backend)
        finished = False
        try:
            while self.pending or self.in_flight or self.elsewhere:
                while self.pending and len(self.in_flight) < self.n_workers:
                    self._start_block()
                if self.in_flight:
                    self._take_finished()
                elif self.elsewhere and not self.pending:
                    self._wait_for_others()
            finished = True
        finally:
            close_pool(self.pool, kill=not finished)
            for block in self.in_flight.values():
                self._release(block, "")

    # ------------------------------------------------------------------------------------------------------ one block
    def _start_block(self) -> None:
        team, jobs = self._next_jobs()
        claim = None
        if team.cached is not None:
            claim, jobs = self._claim(team, jobs)
        if jobs:
            self._submit(Block(team, jobs, claim))

    def _next_jobs(self) -> tuple[Team, list[Job]]:
        """The next few jobs of one team: no more than a fair share for every worker."""
        team = self.pending[0][0]
        size = min(team.size, max(1, len(self.pending) // self.n_workers))
        jobs: list[Job] = []
        while self.pending and self.pending[0][0] is team and len(jobs) < size:
            jobs.append(self.pending.popleft()[1])
        return team, jobs

    def _claim(self, team: Team, jobs: list[Job]) -> tuple[Claim | None, list[Job]]:
        """Claim jobs; those that others hold are waited for, those that others finished are delivered."""
        assert self.store is not None
        begun = time.monotonic()
        granted = self.store.claims.acquire([job.mark for job in jobs], team.cached.table if team.cached else "")
        self.claim_s = time.monotonic() - begun
        others = {mark for mark, claim in granted.taken.items() if not self._is_around(mark, claim)}
        self.elsewhere.update({job.mark: (team, job) for job in jobs if job.mark in others})
        try:
            if len(others) < len(granted.taken):
                self.store.flush()
            if self.has_looked:
                self.store.catch_up(granted.news)
            else:
                self.store.refresh(segments=granted.news)
                self.has_looked = True
            free = [job for job in jobs if job.mark not in others]
            done = [job for job in free if team.is_done(job)]
        except BaseException:
            if granted.claim:
                self.store.claims.release(granted.claim)
            raise
        for job in done:
            self.deliver(team, job, None)
        left = [job for job in free if not team.is_done(job)] if done else free
        if granted.claim and not left:
            self.store.claims.release(granted.claim)
        return granted.claim, left

    @staticmethod
    def _is_around(mark: bytes, claim: Claim) -> bool:
        """Whether a point is claimed by the very run that this one is called from, which must not be waited for.

        Raises UsageError for a point that needs itself.
        """
        if mark in HERE.running:
            raise UsageError("a cached function runs itself on the very point that it is computing")
        own = claim.owner.machine == machine_id() and claim.owner.pid in (os.getpid(), os.getppid())
        return bool(HERE.blocks) and own

    def _submit(self, block: Block) -> None:
        team = block.team
        self.progress.update(running=len(self.in_flight) + 1)
        if self.on_start is not None:
            self.on_start([job for other in (*self.in_flight.values(), block) for job in other.jobs])
        marker: Future[Any] = Future()
        self.in_flight[marker] = block  # so that an interrupted computation gives its claim back
        if team.cached is None:
            calls = [(job.args, job.kwargs) for job in block.jobs]
            future: Future[Any] = self.pool.submit(compute_plain, team.function, calls)
        else:
            assert self.store is not None
            folder = str(self.store.path)
            future = self.pool.submit(compute_block, team.cached, block.jobs, folder, team.context, self.keep)
        del self.in_flight[marker]
        self.in_flight[future] = block

    def _take_finished(self) -> None:
        done, _ = wait(self.in_flight, timeout=1.0, return_when=FIRST_COMPLETED)
        if not done:
            self.progress.update(running=len(self.in_flight))
        for future in done:
            error = future.exception()
            if error is not None and _is_death(error):
                self._bury()
                return
            block = self.in_flight.pop(future)
            self._finish(block, future)

    def _finish(self, block: Block, future: Future[Any]) -> None:
        try:
            result = future.result()
        except BaseException:
            self._release(block, "")
            raise
        outcomes, segment = result if block.team.cached is not None else (result, "")
        if segment and self.in_processes:
            assert self.store is not None
            self.store.refresh(segments=[segment])
        self._release(block, segment)
        self._adapt(block)
        for job, outcome in zip(block.jobs, outcomes):
            self.deliver(block.team, job, outcome)

    def _adapt(self, block: Block) -> None:
        took = max(time.monotonic() - block.started, 1e-6)
        fitting = int(len(block.jobs) * max(BLOCK_S, CLAIM_SHARE * self.claim_s) / took)
        block.team.size = max(1, min(fitting, 4 * len(block.jobs), block.team.most))

    def _release(self, block: Block, segment: str) -> None:
        if block.claim is not None and self.store is not None:
            self.store.claims.release(block.claim, [segment] if segment else [])

    # --------------------------------------------------------------------------------------------- others, and deaths
    def _wait_for_others(self) -> None:
        """Look whether the points that other processes hold were finished or given up; sleep a little if not."""
        assert self.store is not None
        held, news = self.store.claims.waiting_for(self.elsewhere)
        self.store.refresh(segments=news)
        moved = [key for key in self.elsewhere if key not in held]
        for key in moved:
            self.pending.append(self.elsewhere.pop(key))
        if moved:
            self.pause, self.waited_since = POLL_S[0], None
            return
        now = time.monotonic()
        self.waited_since = self.waited_since or now
        owners = sorted({str(claim.owner) for claim in held.values()})
        if self.wait_s is not None and now - self.waited_since > self.wait_s:
            raise NotComputed(
                f"{len(held)} points are being computed by {', '.join(owners)}, not finished after {self.wait_s:g} s; "
                "wait longer (wait_s=), or end that process"
            )
        self.progress.update(waiting=f"waiting for {len(held)} computed by {', '.join(owners)}")
        time.sleep(self.pause)
        self.pause = min(2 * self.pause, POLL_S[1])

    def _bury(self) -> None:
        """A worker died and took its pool with it: compute the points in flight one by one to find the cause."""
        blocks = list(self.in_flight.values())
        close_pool(self.pool, kill=True)
        for block in blocks:
            assert self.store is not None or block.team.cached is None
            if self.store is not None:
                self.store.refresh()
            for job in block.jobs:
                if not block.team.is_done(job):
                    self._compute_alone(block.team, job)
                else:
                    self.deliver(block.team, job, None)
            self._release(block, "")
        self.in_flight.clear()
        self.pool = make_pool(self.n_workers, self.backend)

    def _compute_alone(self, team: Team, job: Job) -> None:
        pool = make_process_pool(1)
        try:
            if team.cached is None:
                outcome = pool.submit(compute_plain, team.function, [(job.args, job.kwargs)]).result()[0]
            else:
                assert self.store is not None
                outcomes, segment = pool.submit(
                    compute_block, team.cached, [job], str(self.store.path), team.context, False
                ).result()
                self.store.refresh(segments=[segment])
                outcome = outcomes[0]
        except Exception as error:
            if not _is_death(error):
                raise
            outcome = self._died(team, job, error)
        finally:
            close_pool(pool, kill=True)
        self.deliver(team, job, outcome)

    def _died(self, team: Team, job: Job, error: BaseException) -> Outcome:
        """The outcome of a point that ends its process: a failure, stored as one."""
        found = re.search(r"\{(.*)\}", str(error))
        how = f" ({found[1]})" if found else ""
        hint = "; it may have run out of memory" if "SIGKILL" in how else ""
        message = f"the process that computed this point ended without a result{how}{hint}"
        failed = Failed("WorkerDied", message, message)
        if team.cached is not None and self.store is not None:
            from .work import put_failure

            put_failure(job, self.store, team.context, failed)
            self.store.flush()
        return Outcome(job.key, failed=failed, exception=WorkerDied(message))


def _is_death(error: BaseException) -> bool:
    from concurrent.futures.process import BrokenProcessPool

    return isinstance(error, BrokenProcessPool)
