"""submitit's plug-in for LSF: `submitit.AutoExecutor(folder, cluster="lsf")`, or LsfExecutor itself.

Ids are submitit's: job 202, task 3 of the array 202 is 202_3 (LSF's own 202[3], so the first is 202_1).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from submitit.core import core, job_environment, logger, utils

from .answer import Answer
from .base import JobState, SchedulerDown
from .lsf import job_number, list_jobs
from .lsf_script import Request, head

WORDS = {"pending": "PENDING", "running": "RUNNING", "alive": "SUSPENDED", "unknown": "UNKNOWN"}
ENDS = {"completed": "COMPLETED", "memory": "OUT_OF_MEMORY", "time": "TIMEOUT", "cancelled": "CANCELLED"}
FORGOTTEN = {"State": "FORGOTTEN"}
TIMEOUT_S = 60.0


def to_lsf(job_id: str) -> str:
    """submitit's id as LSF's commands take it.

    >>> to_lsf("202_3"), to_lsf("202")
    ('202[3]', '202')
    """
    job, _, element = job_id.partition("_")
    return f"{job}[{element}]" if element else job


class LsfInfoWatcher(core.InfoWatcher):
    """The states of all jobs, from one bjobs."""

    def _make_command(self) -> list[str] | None:
        """The jobs that are still asked about; update() asks in whichever words bjobs understands."""
        ids = sorted({id.partition("_")[0] for id in self._registered - self._finished}, key=int)
        return ["bjobs", "-a", *ids] if ids else None

    def update(self) -> None:
        command = self._make_command()
        if command is None:
            return
        self._num_calls += 1
        try:
            known = {line.task_id: line.state for line in list_jobs(command[2:], TIMEOUT_S)}
        except SchedulerDown as error:  # says nothing of the jobs
            logger.get_logger().warning(f"Call #{self.num_calls} - {error}; states may be old.")
        else:
            asked = self._registered - self._finished
            self._info_dict |= {id: info(known[to_lsf(id)]) if to_lsf(id) in known else FORGOTTEN for id in asked}
        self._last_status_check = time.time()
        self._finished |= {id for id in self._registered - self._finished if self.is_done(id, mode="cache")}

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        return self.get_info(job_id, mode=mode).get("State") or "UNKNOWN"

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """A suspended job is not done; one that LSF has forgotten is."""
        return self.get_state(job_id, mode=mode) in {*ENDS.values(), "FAILED", FORGOTTEN["State"]}


def info(state: JobState) -> dict[str, str]:
    word = WORDS.get(state.phase) or ENDS.get(state.cause, "FAILED")
    code = "" if state.exit_code is None else str(state.exit_code)
    return {"State": word, "LsfState": state.raw, "ExitCode": code, "Reason": state.reason}


class LsfJob(core.Job[core.R]):
    """A job, or one task of an array."""

    _cancel_command = "bkill"
    watcher = LsfInfoWatcher(delay_s=600)

    def cancel(self, check: bool = True) -> None:
        """End it. With `check`, raises CalledProcessError if it is not known or has already ended."""
        call = subprocess.check_call if check else subprocess.call
        call([self._cancel_command, to_lsf(self.job_id)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _interrupt(self, timeout: bool = False) -> None:
        """Send the signal of a time limit or a preemption (for tests)."""
        command = ["bkill", "-s"]
        if not timeout:
            subprocess.check_call([*command, "TERM", to_lsf(self.job_id)])
        subprocess.check_call([*command, LsfJobEnvironment.USR_SIG, to_lsf(self.job_id)])


class LsfJobEnvironment(job_environment.JobEnvironment):
    """What LSF tells a job of itself. A job is one process on one machine."""

    _env = {
        "job_id": "LSB_JOBID",
        "array_job_id": "LSB_JOBID",
        "array_task_id": "LSB_JOBINDEX",
        "num_tasks": "GRIDRUN_LSF_TASKS",
        "num_nodes": "GRIDRUN_LSF_NODES",
        "node": "GRIDRUN_LSF_NODE",
        "nodes": "LSB_HOSTS",
        "global_rank": "GRIDRUN_LSF_RANK",
        "local_rank": "GRIDRUN_LSF_LOCAL_RANK",
    }

    @property
    def array_job_id(self) -> str | None:
        return self.raw_job_id if self.array_task_id else None

    @property
    def array_task_id(self) -> str | None:
        """LSF's index; LSF gives 0 to a job that is no array."""
        index = os.environ.get(self._env["array_task_id"], "0")
        return None if index in ("", "0") else index

    @property
    def hostnames(self) -> list[str]:
        """Each machine once; LSF names one as often as it gives processors of it."""
        return list(dict.fromkeys(os.environ.get(self._env["nodes"], "").split())) or [self.hostname]

    def _requeue(self, countdown: int) -> None:
        """LSF ends this very process to requeue it, brequeue too if it were of the same group."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        id = to_lsf(self.job_id)
        done = subprocess.run(["brequeue", id], timeout=60, start_new_session=True, check=False)
        if done.returncode > 0:
            raise subprocess.CalledProcessError(done.returncode, ["brequeue", id])
        logger.get_logger().info(f"Requeued job {id} ({countdown} remaining timeouts)")


class LsfExecutor(core.PicklingExecutor):
    """Submits calls as jobs of LSF, several at once as one array.

    folder, max_num_timeout, max_pickle_size_gb, python: as those of submitit's SlurmExecutor. Parameters are in
    `DEFAULTS`; `setup` is lines of shell, `extra` other flags of bsub ({"-app": "vision"}), `mem_unit` the site's
    LSF_UNIT_FOR_LIMITS.
    """

    job_class = LsfJob

    DEFAULTS: Mapping[str, Any] = {
        "job_name": "submitit",
        "timeout_min": 5,
        "mem_gb": None,
        "mem_unit": "KB",
        "nodes": 1,
        "cpus_per_task": 1,
        "gpus_per_node": 0,
        "tasks_per_node": 1,
        "queue": "",
        "project": "",
        "constraint": "",
        "extra": {},
        "setup": (),
        "array_parallelism": 256,
        "stderr_to_stdout": False,
    }

    def __init__(
        self,
        folder: str | Path,
        max_num_timeout: int = 3,
        max_pickle_size_gb: float = 1.0,
        python: str | None = None,
    ) -> None:
        super().__init__(folder, max_num_timeout=max_num_timeout, max_pickle_size_gb=max_pickle_size_gb)
        self.python = shlex.quote(sys.executable) if python is None else python
        if self.affinity() < 0:
            raise RuntimeError('Could not detect "bsub", are you indeed on an LSF cluster?')

    @classmethod
    def affinity(cls) -> int:
        return -1 if shutil.which("bsub") is None else 2

    @classmethod
    def _equivalence_dict(cls) -> core.EquivalenceDict:
        same = ("timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
        return {"name": "job_name", **{key: key for key in same}}

    @classmethod
    def _valid_parameters(cls) -> set[str]:
        return set(cls.DEFAULTS)

    def _internal_update_parameters(self, **kwargs: Any) -> None:
        unknown = sorted(set(kwargs) - set(self.DEFAULTS))
        if unknown:
            valid = "\n  - ".join(f"{key} (default: {value!r})" for key, value in sorted(self.DEFAULTS.items()))
            raise ValueError(f"Unavailable parameter(s): {unknown}\nValid parameters are:\n  - {valid}")
        for key in ("nodes", "tasks_per_node"):
            if kwargs.get(key, 1) != 1:
                raise ValueError(f"{key} = {kwargs[key]}: a job of this plug-in is one process on one machine")
        self._script({**self.parameters, **kwargs}, 0)  # refuses what LSF would refuse
        super()._internal_update_parameters(**kwargs)

    def _internal_process_submissions(self, delayed_submissions: list[utils.DelayedSubmission]) -> list[core.Job[Any]]:
        if len(delayed_submissions) == 1:
            return list(super()._internal_process_submissions(delayed_submissions))
        folder = utils.JobPaths.get_first_id_independent_folder(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        pickles = []
        for delayed in delayed_submissions:
            pickles.append(folder / f"{uuid.uuid4().hex}.pkl")
            delayed.set_timeout(self._parameter("timeout_min"), self.max_num_timeout)
            delayed.dump(pickles[-1])
        self._throttle()
        array = type(self)(self.folder, self.max_num_timeout, self.max_pickle_size_gb, self.python)
        array.parameters = {**self.parameters, "n_tasks": len(pickles)}
        first = array._submit_command(self._submitit_command_str)
        jobs: list[core.Job[Any]] = []
        for element, path in enumerate(pickles, 1):
            job: core.Job[Any] = LsfJob(folder=self.folder, job_id=f"{first.job_id}_{element}", tasks=[0])
            job.paths.move_temporary_file(path, "submitted_pickle")
            jobs.append(job)
        return jobs

    def _parameter(self, key: str) -> Any:
        return self.parameters.get(key, self.DEFAULTS[key])

    @property
    def _submitit_command_str(self) -> str:
        return f"{self.python} -u -m submitit.core._submit {shlex.quote(str(self.folder))}"

    def _num_tasks(self) -> int:
        return 1

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        n_tasks = self.parameters.get("n_tasks", 0)
        return "\n".join([*self._script(self.parameters, n_tasks), f"exec {command}", ""])

    def _script(self, parameters: Mapping[str, Any], n_tasks: int) -> list[str]:
        """All but the command, which takes the shell's place: LSF's signals reach every process of a job."""
        of = {**self.DEFAULTS, **parameters}
        request = Request(
            name=of["job_name"],
            n_tasks=n_tasks,
            parallel=of["array_parallelism"],
            cpus=of["cpus_per_task"],
            timeout_min=of["timeout_min"],
            mem_gb=of["mem_gb"],
            mem_unit=of["mem_unit"],
            gpus=of["gpus_per_node"],
            queue=of["queue"],
            account=of["project"],
            constraint=of["constraint"],
            extra=of["extra"],
        )
        paths = utils.JobPaths(self.folder)
        id = '"${LSB_JOBID}_${LSB_JOBINDEX}"' if n_tasks else '"${LSB_JOBID}"'
        out, err = (fill(path, id) for path in (paths.stdout, paths.stderr))
        streams = (
            f"exec < /dev/null >> {out} 2>> {err}" if not of["stderr_to_stdout"] else f"exec < /dev/null >> {out} 2>&1"
        )
        folder = f"mkdir -p {fill(paths.folder, id)}"
        return [*head(request), "", folder, streams, "export SUBMITIT_EXECUTOR=lsf", *of["setup"]]

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        """LSF reads #BSUB lines from its standard input only."""
        quiet = "unset BSUB_QUIET BSUB_QUIET2; "  # these would hide the number
        return ["sh", "-c", f'{quiet}exec bsub < "$0"', str(submission_file_path)]

    @staticmethod
    def _get_job_id_from_submission_command(string: bytes | str) -> str:
        text = string if isinstance(string, str) else string.decode(errors="replace")
        try:
            return job_number(Answer(0, text, ""))
        except SchedulerDown as error:
            raise utils.FailedSubmissionError(str(error)) from None


def fill(path: Path, id: str) -> str:
    """A path of submitit as a word of shell: %j, %A and %a are what LSF calls the job, %t is 0.

    >>> print(fill(Path("/my runs/%j_%t_log.out"), '"$ID"'))
    '/my runs/'"$ID"_0_log.out
    """
    values = {"%j": id, "%A": '"${LSB_JOBID}"', "%a": '"${LSB_JOBINDEX}"', "%t": "0"}
    pieces: Iterable[str] = re.split("(%[jAat])", str(path))
    return "".join(values[piece] if piece in values else shlex.quote(piece) for piece in pieces if piece)
