"""Is a task alive, perhaps dead, or dead: from the scheduler's word and the task's own, never from two clocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .base import JobState
from .lease import Lease

SUSPECT_S = 15.0  # between two looks that both say that a task ended
STILL_S = 30.0  # how long its lease must have stood still
LOST_S = 1800.0  # the same, where the scheduler lists the task but cannot say how it is
ALIVE_S = 24 * 3600.0  # the same, where it says that the task may go on: suspended, requeued, its node lost


@dataclass
class Suspicion:
    """Since when (by this process's clock) the scheduler was seen to call a task ended or unknown."""

    since: float = -1.0
    state: JobState | None = None

    def verdict(self, state: JobState | None, lease: Lease | None, still_s: float, now: float) -> str:
        """pending, running, alive (it may go on), suspect, or dead.

        state: the scheduler's word, None if it does not list the task; lease: the task's word, None if it never
        started; still_s: for how long the lease was not seen to change. A task is dead if it said its last word and
        the scheduler does not list it as going on; or if the scheduler twice, SUSPECT_S apart, called it ended or
        did not know it, and its lease stood still for STILL_S.
        """
        limit_s = {"unknown": LOST_S, "alive": ALIVE_S}.get(state.phase, math.inf) if state is not None else 0.0
        if state is not None and state.phase != "ended" and still_s <= limit_s:
            self.since = -1.0
            return "alive" if state.phase == "unknown" else state.phase
        if self.since < 0:
            self.since = now
        self.state = state or self.state
        if lease is not None and lease.is_over:
            return "dead"
        return "dead" if now - self.since >= SUSPECT_S and still_s >= STILL_S else "suspect"
