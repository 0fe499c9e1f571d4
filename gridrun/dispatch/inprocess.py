"""A scheduler without a cluster: tasks run in this process, when they are submitted. For tests."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .base import Array, JobState


class Task(NamedTuple):
    """A task that was submitted, and how it ended."""

    name: str
    state: JobState


class InProcess:
    """Runs each task of an array at once. `lose` names tasks (by job id and index) that die before they begin."""

    name = "inprocess"

    def __init__(self, lose: Sequence[tuple[str, int]] = (), cause: str = "failed") -> None:
        self.tasks: dict[str, Task] = {}
        self.lose, self.cause = set(lose), cause
        self.submitted: list[str] = []

    def render(self, array: Array) -> str:
        return f"{array.name}: {array.n_tasks} tasks in this process, {array.settings}\n"

    def submit(self, array: Array, script: str) -> str:
        job_id = str(len(self.submitted) + 1)
        self.submitted.append(script)
        for index in range(array.n_tasks):
            state = self._run(array, job_id, index)
            self.tasks[self.task_id(job_id, index)] = Task(array.name, state)
        return job_id

    def _run(self, array: Array, job_id: str, index: int) -> JobState:
        from .worker import run_task

        if (job_id, index) in self.lose:
            return JobState("ended", self.cause, "LOST", 1)
        log = io.StringIO()
        before = dict(os.environ)
        os.environ.update(SLURM_ARRAY_JOB_ID=job_id, SLURM_ARRAY_TASK_ID=str(index))
        try:
            with contextlib.redirect_stdout(log):
                run_task(array.folder, index)
            return JobState("ended", "completed", "DONE", 0)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=log)
            return JobState("ended", "failed", "FAILED", 1)
        finally:
            os.environ.clear()
            os.environ.update(before)
            self.log(array.folder, job_id, index).write_text(log.getvalue())

    def poll(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        return {task: each.state for task, each in self.tasks.items() if task.partition("_")[0] in job_ids}

    def find(self, names: Sequence[str]) -> dict[str, str]:
        return {each.name: task.partition("_")[0] for task, each in self.tasks.items() if each.name in names}

    def cancel(self, ids: Sequence[str]) -> None:
        for task in self.tasks:
            if task in ids or task.partition("_")[0] in ids:
                self.tasks[task] = self.tasks[task]._replace(state=JobState("ended", "cancelled", "CANCELLED"))

    def max_array(self) -> int:
        return 1000

    def task_id(self, job_id: str, index: int) -> str:
        return f"{job_id}_{index}"

    def log(self, array_folder: Path, job_id: str, index: int) -> Path:
        return array_folder / "logs" / f"{job_id}_{index}.log"
