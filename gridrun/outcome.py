"""What is known of a point: the records that run() and its kin hand out."""

from __future__ import annotations

from typing import NamedTuple


class Failed(NamedTuple):
    """What stands for the result of a point that failed: the error's type, message and traceback."""

    error: str
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"


class PointState(NamedTuple):
    """What is known of a point: `state` is cached, done (just computed), failed, stale, running or missing.

    `id` is the result's id where there is one; `detail` says what changed, who computes it, or why it failed.
    """

    state: str
    id: str = ""
    detail: str = ""


class GridrunWarning(UserWarning):
    """Something a researcher should know about results that were used all the same."""
