"""The script that sbatch gets: submitit's, with what gridrun's tasks need."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from .base import Array

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# sbatch counts the memory of a task in one way only.
OTHER_MEMORY = ("mem-per-cpu", "mem-per-gpu")


def script(array: Array) -> str:
    """The whole script, byte for byte as it is submitted.

    Python takes the shell's place (exec) and is the batch step itself, without srun: the warning signal (USR2, to the
    batch step: `B:`) reaches it, where submitit saves the task and queues it again. Until Python listens, the signal
    is ignored, which is better than dying of it.
    """
    from submitit.slurm.slurm import _make_sbatch_string

    wanted, extra = array.settings, options(array.settings.extra)
    delay_s = extra.pop("signal-delay-s", None) or warning_s(wanted.timeout_min)
    own = {"output": log_pattern(array), "signal": f"B:USR2@{delay_s}", "requeue": True}
    text: str = _make_sbatch_string(
        command=f"exec {array.python} -u -m gridrun.dispatch.start {shlex.quote(one_line(array.folder, 'the folder'))}",
        folder=array.logs,
        job_name=array.name,
        nodes=1,
        ntasks_per_node=1,
        cpus_per_task=wanted.cpus_per_task,
        gpus_per_node=wanted.gpus_per_node or None,
        mem=None if any(name in extra for name in OTHER_MEMORY) else memory(wanted.mem_gb),
        time=wanted.timeout_min,
        partition=wanted.partition or None,
        account=wanted.account or None,
        qos=wanted.qos or None,
        constraint=wanted.constraint or None,
        map_count=array.n_tasks,
        array_parallelism=array.parallel or array.n_tasks,
        setup=["trap '' USR2", *exports(array.environment), *array.setup],
        stderr_to_stdout=True,
        wckey=None,  # a site that keeps none refuses a job that names one
        additional_parameters=extra | own,
        use_srun=False,
    )
    return text


def options(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Other options of sbatch, by their long names; without those that are switched off.

    >>> options({"--exclude": "n[1-2]", "exclusive": True, "contiguous": False, "mem_per_cpu": "2G"})
    {'exclude': 'n[1-2]', 'exclusive': True, 'mem-per-cpu': '2G'}
    """
    wanted = {name.lstrip("-").replace("_", "-"): value for name, value in extra.items()}
    for name in wanted:
        if len(name) < 2:
            raise UsageError(f"extra: -{name} is a short option; write sbatch's long one (sbatch --help lists them)")
    return {name: value for name, value in wanted.items() if value is not None and value is not False}


def warning_s(timeout_min: int) -> int:
    """Seconds before the time limit at which a task is told to save itself: 90, or a quarter of a short limit.

    >>> warning_s(60), warning_s(1)
    (90, 15)
    """
    return min(90, timeout_min * 60 // 4)


def memory(mem_gb: float) -> str:
    """Memory in sbatch's words; never its 0, which is a whole node's.

    >>> memory(2.0), memory(0.25), memory(1e-9)
    ('2048M', '256M', '1M')
    """
    return f"{max(1, round(mem_gb * 1024))}M"


def log_pattern(array: Array) -> str:
    """Where a task prints to, in sbatch's words, in which % has a meaning; a backslash would take it away."""
    folder = one_line(array.logs, "the folder of logs")
    if "\\" in folder:
        raise UsageError(f"{folder}: Slurm writes no logs to a folder with a backslash in its name")
    return f"{folder.replace('%', '%%')}/%A_%a.log"


def exports(environment: Mapping[str, str]) -> list[str]:
    """A line for each variable.

    >>> exports({"GRIDRUN_SESSIONS": "/data/my study's"})
    ['export GRIDRUN_SESSIONS=\\'/data/my study\\'"\\'"\\'s\\'']
    """
    for name in environment:
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of a variable of the environment")
    return [f"export {name}={shlex.quote(one_line(value, name))}" for name, value in environment.items()]


def one_line(value: object, what: str) -> str:
    """A value as text, if a line of a script can hold it."""
    text = str(value)
    if any(c in text for c in "\n\r\0"):
        raise UsageError(f"{what} is {text!r}: a script for Slurm cannot hold the end of a line within a value")
    return text
