"""Slurm: arrays through sbatch, one squeue and one sacct for all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from . import slurm_script, slurm_states
from .base import Array, JobState, SchedulerDown, SubmissionFailed
from .slurm_commands import UNKNOWN_ID, ask, overruling, try_asking

MAX_ARRAY = 1000  # Slurm's own default is one more
DAYS = 30  # how far back a lost array is looked for
AT_ONCE = 2000  # ids on one command line of scancel
NUMBER = re.compile(r"^(\d+)(?:;\S+)?$", re.MULTILINE | re.ASCII)  # sbatch --parsable: id, or id;cluster


class Slurm:
    """Slurm as a scheduler. accounting_s: how long to wait for sacct, without which it goes too."""

    name = "slurm"

    def __init__(self, timeout_s: float = 60.0, accounting_s: float = 10.0) -> None:
        self.timeout_s, self.accounting_s = timeout_s, accounting_s
        self._max_array: int | None = None

    def render(self, array: Array) -> str:
        return slurm_script.script(array)

    def submit(self, array: Array, script: str) -> str:
        """Raises SchedulerDown also where it is not known whether Slurm took the array; its name tells, later."""
        answer = ask(["sbatch", "--parsable"], self.timeout_s, script, overruling(script, os.environ))
        if answer.status:
            raise SubmissionFailed(answer.line)
        number = NUMBER.search(answer.out)
        if number is None:
            raise SchedulerDown(f"sbatch gave no job number: {answer.line}")
        return number[1]

    def poll(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        if not job_ids:
            return {}
        ids = ",".join(sorted(set(job_ids)))
        listed = self._squeue(["--array", f"--jobs={ids}", "--format=%i|%T|%r"])
        accounted = self._sacct([f"--jobs={ids}", "--format=JobID,State,ExitCode"])
        return slurm_states.states(listed, accounted)

    def find(self, names: Sequence[str]) -> dict[str, str]:
        """Of two jobs with one name, the first."""
        if not names:
            return {}
        wanted = ",".join(names)
        listed = self._squeue([f"--name={wanted}", "--format=%F|%j"])
        since = ["--starttime", f"now-{DAYS}days"]
        accounted = self._sacct([f"--name={wanted}", *since, "--format=JobID,JobName"])
        found: dict[str, str] = {}
        for line in f"{listed}\n{accounted}".splitlines():
            id, _, name = line.strip().partition("|")
            job = re.match(r"\d+", id, re.ASCII)
            if job and name in names:
                found[name] = min(job[0], found.get(name, job[0]), key=int)
        return found

    def _squeue(self, words: Sequence[str]) -> str:
        """What squeue lists, tasks that ended a while ago too; ids that it does not know are no error."""
        answer = ask(["squeue", "--noheader", "--states=all", *words], self.timeout_s)
        if answer.status and not UNKNOWN_ID.search(answer.err):
            raise SchedulerDown(f"squeue: {answer.line}")
        return answer.out

    def _sacct(self, words: Sequence[str]) -> str:
        """What the accounting knows; nothing where there is none, or it is slow."""
        return try_asking(["sacct", "--noheader", "--parsable2", "--allocations", *words], self.accounting_s)

    def cancel(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), AT_ONCE):  # those that ended or are not known make it complain, no more
            answer = ask(["scancel", *ids[start : start + AT_ONCE]], self.timeout_s)
            said = [line for line in answer.err.splitlines() if line.strip() and not UNKNOWN_ID.search(line)]
            if answer.status and said:
                raise SchedulerDown(f"scancel: {said[0].strip()}")

    def max_array(self) -> int:
        """As many as its MaxArraySize: the largest index is one less, and gridrun counts from 0."""
        if self._max_array is None:
            said = try_asking(["scontrol", "show", "config"], self.timeout_s)
            size = re.search(r"^MaxArraySize\s*=\s*(\d{1,9})\s*$", said, re.MULTILINE)
            self._max_array = max(1, int(size[1])) if size else MAX_ARRAY
        return self._max_array

    def task_id(self, job_id: str, index: int) -> str:
        return f"{job_id}_{index}"

    def log(self, array_folder: Path, job_id: str, index: int) -> Path:
        return array_folder / "logs" / f"{job_id}_{index}.log"
