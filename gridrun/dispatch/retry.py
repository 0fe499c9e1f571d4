"""What to do with a task that died: again as it was, with more of what it lacked, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .profile import Profile
    from .settings import Settings

MORE = 1.5
FREE = ("node", "preempted", "disk")  # not the task's fault
MAX_FREE = 20  # of deaths that are not the task's fault: a safeguard against a cluster that never gets well


class Decision(NamedTuple):
    """Settings to try again with, or None and why not."""

    settings: Settings | None
    why: str


def decide(cause: str, settings: Settings, n_deaths: int, n_free: int, profile: Profile) -> Decision:
    """What follows the death of a task that had `settings`.

    n_deaths: how often its point was in flight when a task died, this time included, without those of FREE causes,
    which n_free counts.
    """
    if cause in FREE:
        if n_free > MAX_FREE:
            return Decision(None, f"its node or the disk failed, or it was preempted, {n_free} times")
        return Decision(settings, f"{cause}: again as it was")
    if cause == "memory" and settings.mem_gb >= profile.max_mem_gb:
        return Decision(None, f"out of memory with {settings.mem_gb:g} GB, which is all that max_mem_gb allows")
    if n_deaths > profile.retries:
        return Decision(None, f"{WORDS[cause].format(settings)}, {n_deaths} times")
    if cause == "memory":
        mem_gb = min(profile.max_mem_gb, MORE * settings.mem_gb)
        return Decision(replace(settings, mem_gb=mem_gb), f"out of memory: again with {mem_gb:g} GB")
    if cause == "time":
        minutes = max(settings.timeout_min, min(profile.max_timeout_min, round(MORE * settings.timeout_min + 0.49)))
        return Decision(replace(settings, timeout_min=minutes), f"time limit: again with {minutes} min")
    return Decision(settings, "it died: again as it was")


WORDS = {
    "memory": "out of memory with {0.mem_gb:g} GB",
    "time": "not finished within {0.timeout_min} min",
    "failed": "the task died at this point",
    "completed": "the task ended without a result",
    "": "the task died at this point",
}
