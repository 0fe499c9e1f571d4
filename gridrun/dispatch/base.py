"""What dispatch talks about: an array of tasks, the state of a task, and what every scheduler can be asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..errors import GridrunError

if TYPE_CHECKING:
    from .settings import Settings

PHASES = ("pending", "running", "alive", "ended", "unknown")
CAUSES = ("completed", "failed", "memory", "time", "node", "preempted", "cancelled")


class SubmissionFailed(GridrunError, RuntimeError):
    """The scheduler refused an array; the message is what it said."""


class SchedulerDown(GridrunError, OSError):
    """The scheduler could not be asked, which says nothing about its jobs."""


class JobState(NamedTuple):
    """What the scheduler says of one task.

    phase: one of PHASES; "alive" is anything that may still go on (suspended, requeued, its node lost).
    cause: of an "ended" task, one of CAUSES; raw: the scheduler's own word; reason: why a pending one waits.
    """

    phase: str
    cause: str = ""
    raw: str = ""
    exit_code: int | None = None
    reason: str = ""


class Array(NamedTuple):
    """One job array as it is submitted; each task runs `python -m gridrun.dispatch.start FOLDER`.

    name: `gridrun-<token>-<number>`, by which a lost array is found; folder: its place in the submission, with logs/;
    parallel: how many of its tasks may run at once; environment: what its tasks find exported.
    """

    name: str
    folder: Path
    n_tasks: int
    settings: Settings
    setup: tuple[str, ...]
    python: str
    parallel: int | None
    environment: Mapping[str, str]

    @property
    def logs(self) -> Path:
        """Where what the tasks print goes."""
        return self.folder / "logs"


class Backend(Protocol):
    """A scheduler. Task ids are as people type them: 123_4 (Slurm), 123[5] (LSF); indices count from 0."""

    name: str

    def render(self, array: Array) -> str:
        """The script of an array, byte for byte as submit() hands it over; touches nothing."""
        ...

    def submit(self, array: Array, script: str) -> str:
        """Submit a script that render() made (written to array.folder/script.sh by the caller); the job id.

        Raises SubmissionFailed if the scheduler refuses, SchedulerDown if it cannot be asked.
        """
        ...

    def poll(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """The state of every task of these jobs that the scheduler still knows, by task id, in one look.

        Raises SchedulerDown if it cannot be asked.
        """
        ...

    def find(self, names: Sequence[str]) -> dict[str, str]:
        """Job ids of arrays by their names, running or ended a while ago. Raises SchedulerDown."""
        ...

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs or single tasks; ids that are not known (any more) are no error. Raises SchedulerDown."""
        ...

    def max_array(self) -> int:
        """How many tasks one array may have here."""
        ...

    def task_id(self, job_id: str, index: int) -> str:
        """How people name a task."""
        ...

    def log(self, array_folder: Path, job_id: str, index: int) -> Path:
        """The file of what a task prints, its output and its errors, appended to when it starts again."""
        ...
