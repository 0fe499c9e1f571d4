"""Giving points up: why goes to the store, as a failure, so that everybody finds it there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GridrunError
from ..lookup import Lookup
from ..outcome import Failed
from ..plan import cached_of
from ..work import put_failure

if TYPE_CHECKING:
    from .case import Case

NAMES = {"memory": "OutOfMemory", "time": "TimeLimit"}  # of errors, by the cause of death
TAIL = 40  # lines of the log that are kept with the failure


def give_up(case: Case, points: Sequence[int], why: str, log: Path | None, cause: str = "") -> None:
    """Keep why points have no result, with the end of their log; only as far as their functions can be imported."""
    from .worker import enter

    tail = log_tail(log)
    enter(case.submission.manifest["code"])
    try:
        functions = case.submission.functions()
        jobs = case.submission.jobs(points)
    except Exception:  # the code is gone: the submission's events still say why
        return
    for number, job in zip(points, jobs):
        cached = cached_of(functions[case.submission.rows[number].function])
        if cached is None:
            continue
        name = NAMES.get(cause, "JobDied")
        text = f"{why}\n\nthe end of {log}:\n{tail}" if log is not None else why
        put_failure(job, case.store, Lookup(cached, case.store).context, Failed(name, why, text))
    with contextlib.suppress(GridrunError):
        case.store.flush()


def log_tail(log: Path | None) -> str:
    """The last lines of a log; "" if there is none."""
    if log is None:
        return ""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-TAIL:])
    except OSError:
        return ""
