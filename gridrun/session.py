"""The result that is being computed: its id, and a folder for what its task keeps."""

from __future__ import annotations

import contextvars
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Session(NamedTuple):
    """The result that is being computed: where a task may keep a log, a model, a checkpoint."""

    id: str
    table: str
    cache_dir: str

    @property
    def folder(self) -> Path:
        """sessions/runs/<id>, made on first use."""
        from pathlib import Path

        from .files import make_folder

        folder = Path(os.path.join(self.cache_dir, "runs", self.id))
        make_folder(folder)
        return folder


CURRENT: contextvars.ContextVar[Session | None] = contextvars.ContextVar("gridrun_session", default=None)


SAVED: list[str] = []  # whether a computation of this process saved itself, to go on from there


def note_saved() -> None:
    """Say that what is computed here can be gone on with, should it be stopped: it is worth another start."""
    SAVED[:] = ["saved"]


def current_session() -> Session | None:
    """The session of the cached function that runs now; None when it was called directly."""
    return CURRENT.get()
