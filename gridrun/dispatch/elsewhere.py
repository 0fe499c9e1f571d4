"""run() and ensure() with a cluster's mode: send what is missing, follow it, tell what became of every point."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..outcome import Failed
from ..progress import Progress
from ..study import study_root
from .follow import Follower, View
from .profile import Profile, load_profile
from .submission import Submission, find_submission
from .submit import Sender, send

if TYPE_CHECKING:
    from ..sweep import Sweep


def cluster_profile(mode: Any) -> Profile | None:
    """The profile of a mode, or a profile itself; None if it computes on this machine."""
    profile = mode if isinstance(mode, Profile) else load_profile(Path(study_root()), str(mode))
    return None if profile.executor == "local" else profile


def compute(sweep: Sweep, profile: Profile) -> dict[bytes, Failed | None]:
    """Have a sweep's missing points computed by a scheduler; for each mark its failure, or None if it is done."""
    plan = Sender(profile, n_workers=sweep.n_workers).draft(sweep)
    sent = send(plan)
    tokens = [*plan.queued, *([sent.token] if sent is not None else [])]
    followed = [find_submission(plan.store.path, token) for token in tokens]
    return follow(followed, sweep) if followed else dict.fromkeys(sweep.misses)


def follow(followed: list[Submission], sweep: Sweep) -> dict[bytes, Failed | None]:
    """Wait for the points of a sweep in these submissions."""
    follower = Follower(followed)
    n_points = len(sweep.misses)
    progress = Progress("on the cluster", n_points, 0, sweep.options.progress)
    try:
        while True:
            view = follower.look()
            found = failures(view, follower, sweep)
            if len(found) >= n_points or view.finished:
                return {mark: found.get(mark) for mark in sweep.misses}
            _show(progress, view)
            time.sleep(min(follower.pause_s, 5.0) if progress.wanted else follower.pause_s)
    finally:
        progress.close()


def failures(view: View, follower: Follower, sweep: Sweep) -> dict[bytes, Failed | None]:
    """The sweep's points that are settled: None, or why not done.

    A point that failed in one submission and was sent again in another is settled when the later one is done with it.
    """
    found: dict[bytes, Failed | None] = {}
    for case in sorted(follower.cases, key=lambda case: case.submission.created):
        for number, row in enumerate(case.submission.rows):
            if row.mark not in sweep.misses:
                continue
            if case.is_open(number):
                found.pop(row.mark, None)
            elif number in case.done:
                found[row.mark] = None
            else:
                why = case.out.get(number, "")
                found[row.mark] = case.failed.get(number) or Failed("NotComputed", why, why)
    return found


def _show(progress: Progress, view: View) -> None:
    counts = view.counts
    progress.done, progress.failed = counts["done"], counts["failed"]
    progress.update(running=counts["running"], waiting=view.problem)
