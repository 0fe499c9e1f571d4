"""Slurm's commands, each asked with an end to the waiting: with its controller gone they may wait for minutes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence

from .answer import Answer
from .base import SchedulerDown

DOWN = re.compile(
    r"unable to contact|connection (?:refused|reset|timed out)|connect failure|communication (?:connection )?failure"
    r"|timed out|temporarily unable|zero bytes were transmitted|unable to establish|could not establish"
    r"|unable to process configuration|in standby mode|backup controller",
    re.IGNORECASE,
)
UNKNOWN_ID = re.compile(r"invalid job id|invalid job array|already completing or completed", re.IGNORECASE)
# Variables of sbatch whose options gridrun's scripts may hold: they would win over the script.
OVERRULING = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CPUS_PER_TASK": "cpus-per-task",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_JOB_NAME": "job-name",
    "SBATCH_MEM_PER_CPU": "mem",
    "SBATCH_MEM_PER_GPU": "mem",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NO_REQUEUE": "requeue",
    "SBATCH_OPEN_MODE": "open-mode",
    "SBATCH_OUTPUT": "output",
    "SBATCH_ERROR": "output",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
    "SBATCH_SIGNAL": "signal",
    "SBATCH_TIMELIMIT": "time",
}
# Variables of a job: gridrun may be called within one.
OUTER = re.compile(r"SLURM_(JOB|ARRAY|STEP|MEM_PER|CPUS_|GPUS_|NTASKS|NNODES|NODE|TASK|TRES|PROCID|LOCALID|RESTART)")


def ask(words: Sequence[str], timeout_s: float, text: str = "", without: Sequence[str] = ()) -> Answer:
    """Run a command, `text` to its standard input, in an environment of English `without` some variables.

    Raises SchedulerDown if it is missing, does not answer in time, or says that Slurm does not.
    """
    fixed = {"LC_ALL": "C.UTF-8", "SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard"}  # 0: long lists in full
    environment = {name: value for name, value in os.environ.items() if name not in without} | fixed
    try:
        done = subprocess.run(
            list(words),
            input=text.encode(errors="surrogateescape"),
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as expired:
        said = (expired.stderr or b"").decode(errors="replace").strip().partition("\n")[0]
        raise SchedulerDown(f"{words[0]} did not answer in {timeout_s:g} s{': ' if said else ''}{said}") from None
    except OSError as error:
        raise SchedulerDown(f"{words[0]} cannot be run: {error.strerror}") from None
    answer = Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if answer.status and DOWN.search(answer.err):
        raise SchedulerDown(f"{words[0]}: {answer.line}")
    return answer


def try_asking(words: Sequence[str], timeout_s: float) -> str:
    """What a command prints, or nothing if it fails: for what is good to know and can be done without."""
    try:
        answer = ask(words, timeout_s)
    except SchedulerDown:
        return ""
    return "" if answer.status else answer.out


def overruling(script: str, environment: Mapping[str, str]) -> list[str]:
    """Variables that would change what a script says, and those of a job from within which it is submitted.

    >>> overruling("#SBATCH --time=5", {"SBATCH_TIMELIMIT": "1", "SBATCH_QOS": "low", "SLURM_MEM_PER_CPU": "9"})
    ['SBATCH_TIMELIMIT', 'SLURM_MEM_PER_CPU']
    """
    said = set(re.findall(r"^#SBATCH --([a-z-]+)", script, re.MULTILINE))
    return sorted(name for name in environment if OVERRULING.get(name) in said or OUTER.match(name))
