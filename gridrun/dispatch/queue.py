"""Points that wait in a submission, so that nobody sends them twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..messages import warn
from ..record import session_of
from ..segments import FAILURE, RESULT
from .history import replayed
from .lease import read_lease
from .submission import PointRow, Submission, submissions

if TYPE_CHECKING:
    from ..store import Store


def n_failures(store: Store, key: bytes) -> int:
    """How many failures the store has of a key."""
    return sum(row.kind == FAILURE for _, row in store.rows(key)) if key in store.index else 0


def is_stored(store: Store, row: PointRow) -> bool:
    """Whether the store has the result that a point was sent for."""
    return has_result(store, row.key, row.id)


def has_result(store: Store, key: bytes, session: str) -> bool:
    """Whether the store has this very result of a key."""
    if key not in store.index:
        return False
    return any(row.kind == RESULT and session_of(frame, row) == session for frame, row in store.rows(key))


def _left_behind(submission: Submission, store: Store) -> set[int]:
    """The points without a result whose task went through all of its points: damage took what they had."""
    rows, found = submission.rows, set()
    for sent in submission.arrays():
        for index, numbers in enumerate(sent.tasks):
            missing = [number for number in numbers if not is_stored(store, rows[number])]
            if missing and (lease := read_lease(sent.folder, index)) is not None and lease.state == "finished":
                found.update(missing)
            else:
                found.difference_update(missing)  # a later task has them again
    return found


def open_submissions(store: Store) -> list[Submission]:
    """The submissions that have something left to do, newest first; a warning names those that cannot be read.

    Those that came with a store copied from elsewhere are left out: their jobs write to the original.
    """
    found = []
    for submission in submissions(store.path):
        if submission.is_closed or is_copy(submission, store):
            continue
        if submission.damage:
            warn(f"{submission.damage}; what it computes is kept, and what it lacks can be sent again")
        else:
            found.append(submission)
    return found


def is_copy(submission: Submission, store: Store) -> bool:
    """Whether a submission's jobs write to another store than the one that it is found in."""
    if submission.damage:
        return False
    manifest = submission.manifest
    same_place = os.path.realpath(manifest["store"]) == os.path.realpath(store.path)
    return not same_place and manifest.get("store_file") != file_number(store.path)


def file_number(path: Path) -> int:
    """The number of a folder in its file system: the same on every machine that mounts it, another for a copy."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def queued(store: Store) -> dict[bytes, str]:
    """The marks of the points that open submissions have not finished, each with its submission's token."""
    found: dict[bytes, str] = {}
    for submission in open_submissions(store):
        left_behind = _left_behind(submission, store)
        history = replayed(submission.events())
        for number, row in enumerate(submission.rows):
            answered = max(row.failures, history.failures.get(number, 0))
            if number in history.cancelled or number in history.out or n_failures(store, row.key) > answered:
                continue
            if number in left_behind or is_stored(store, row):
                continue
            found[row.mark] = submission.token
    return found
