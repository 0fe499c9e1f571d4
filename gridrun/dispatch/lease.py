"""A task's own file: which points it is at, that it lives, how it ended.

The file is written whole at every change and every BEAT_S with a counter that goes up, so a reader knows that the
task lives by seeing the counter change, by the reader's own clock; clocks are never compared.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StoreError
from ..files import make_folder, write_whole
from ..machine import this_owner
from .chunks import numbers_of, spans

BEAT_S = 10.0
STATES = ("running", "finished", "stopped", "refused", "broke")


class Lease(NamedTuple):
    """What a task wrote of itself.

    state: "running"; or its last word: "finished" (it went through its points), "stopped" (it was asked to end),
    "refused" (it could not begin: `why`), "broke" (it could not go on: `why`). in_flight: the points it is at;
    process: which start of the task wrote it.
    """

    state: str = "running"
    task: str = ""
    host: str = ""
    pid: int = 0
    process: str = ""
    beat: int = 0
    started: float = 0.0
    done: int = 0
    failed: int = 0
    in_flight: tuple[int, ...] = ()
    why: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the task said its last word."""
        return self.state != "running"


def lease_path(array_folder: Path, index: int) -> Path:
    """Where the task of an index keeps its lease."""
    return array_folder / "leases" / f"{index}.json"


def read_lease(array_folder: Path, index: int) -> Lease | None:
    """The lease of a task; None if it never started, or the file is not what was written."""
    try:
        found = json.loads(lease_path(array_folder, index).read_bytes())
        in_flight = tuple(numbers_of(found.pop("in_flight")))
        lease = Lease(**found, in_flight=in_flight)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return lease if lease.state in STATES else None


class LeaseKeeper:
    """Writes a task's lease while it computes; a disk that is full does not end the task."""

    def __init__(self, array_folder: Path, index: int, task: str) -> None:
        self.path = lease_path(array_folder, index)
        owner = this_owner()
        self.lease = Lease("running", task, owner.host, os.getpid(), owner.id, started=time.time())
        self.mutex = threading.Lock()
        self.over = threading.Event()
        make_folder(self.path.parent)
        self._write()
        threading.Thread(target=self._beat, daemon=True).start()

    def at(self, numbers: Sequence[int]) -> None:
        """The points that are being computed from now on."""
        self._write(in_flight=tuple(numbers))

    def settled(self, done: int = 0, failed: int = 0) -> None:
        """Count points that are finished (written with the next change or beat)."""
        with self.mutex:
            self.lease = self.lease._replace(done=self.lease.done + done, failed=self.lease.failed + failed)

    def end(self, state: str, why: str = "") -> None:
        """The task's last word."""
        self.over.set()
        in_flight = self.lease.in_flight if state in ("stopped", "broke") else ()
        self._write(state=state, why=why, in_flight=in_flight)

    def _beat(self) -> None:
        while not self.over.wait(BEAT_S):
            self._write()

    def _write(self, **changes: Any) -> None:
        with self.mutex:
            if self.lease.is_over:
                return
            self.lease = self.lease._replace(beat=self.lease.beat + 1, **changes)
            content = {**self.lease._asdict(), "in_flight": spans(self.lease.in_flight)}
            with contextlib.suppress(OSError, StoreError):
                write_whole(self.path, json.dumps(content).encode(), durable=False)


class Watch:
    """Leases as one reader sees them: when each was last seen to change, by the reader's own clock."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, int], tuple[Lease | None, float]] = {}

    def look(self, array_folder: Path, index: int, now: float) -> tuple[Lease | None, float]:
        """A task's lease, and for how many seconds it was not seen to change."""
        lease = read_lease(array_folder, index)
        name = (str(array_folder), index)
        known = self.seen.get(name)
        if known is None or known[0] != lease:
            self.seen[name] = known = (lease, now)
        return lease, now - known[1]
