"""What squeue and sacct say of tasks, read without believing more than they say.

Seen on Slurm 22.05, with `squeue --array --states=all --format=%i|%T|%r` and `sacct -X --format=JobID,State,ExitCode`:

    what happened                squeue                                sacct
    scancel of a running task    CANCELLED                             CANCELLED by 0, 0:0
    scancel of a pending task    (nothing, if others of its array      (nothing; of a whole pending array:
                                 stay: it leaves no trace)             19_[0-2,4-5%2], CANCELLED by 0)
    exit status 3                FAILED, NonZeroExitCode               FAILED, 3:0
    kill -9                      FAILED, JobLaunchFailure              FAILED, 0:9
    memory, without cgroups      FAILED, JobLaunchFailure              FAILED, 0:9 (only the log tells: memory_kill)
    memory, with cgroups         OUT_OF_MEMORY                         OUT_OF_MEMORY, 0:125
    time limit                   COMPLETING, then TIMEOUT              TIMEOUT, 0:0
    node lost                    RUNNING for a while, then PENDING     RUNNING, then NODE_FAIL, then PENDING
                                 (BeginTime), under the same id
    preempted, to be requeued    COMPLETING, then PENDING (BeginTime)  PREEMPTED, for seconds after it is queued again
    scontrol requeue             COMPLETING, then PENDING (BeginTime)  REQUEUED, then PENDING
    scontrol suspend             SUSPENDED                             SUSPENDED

So sacct's word about a task that squeue still lists may be that of its life before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from .base import JobState

# Words that end a task for good, and why.
ENDS = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "memory",
    "TIMEOUT": "time",
    "DEADLINE": "time",
    "CANCELLED": "cancelled",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "LAUNCH_FAILED": "node",
    "RECONFIG_FAIL": "node",
    "PREEMPTED": "preempted",
}
# Of those, the ones that Slurm itself may follow with another start of the same task.
REQUEUED_AFTER = ("NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL", "PREEMPTED")
GOES_ON = {
    "PENDING": "pending",
    "RUNNING": "running",
    **dict.fromkeys(
        (
            "COMPLETING",
            "CONFIGURING",
            "EXPEDITING",
            "POWER_UP_NODE",
            "REQUEUED",
            "REQUEUE_FED",
            "REQUEUE_HOLD",
            "RESIZING",
            "RESV_DEL_HOLD",
            "REVOKED",
            "SIGNALING",
            "SPECIAL_EXIT",
            "STAGE_OUT",
            "STOPPED",
            "SUSPENDED",
            "UPDATE_DB",
        ),
        "alive",
    ),
}
LARGEST = 4_000_001  # of Slurm's arrays: an index above is noise
TASK = re.compile(r"(\d{1,18})_(?:(\d{1,7})|\[([\d,:-]+)(?:%\d+)?\])", re.ASCII)
MEMORY_KILL = re.compile(
    r"exceeded (?:job |step )?memory limit|oom[-_ ]kill|oom killed|out[- ]of[- ]memory handler", re.IGNORECASE
)


class Line(NamedTuple):
    """What a command says of one task. more: squeue's reason, sacct's exit code."""

    task_id: str
    word: str
    more: str


def lines(text: str) -> list[Line]:
    """The lines `id|state|more` of squeue or sacct, one for each task; all others are noise.

    >>> [tuple(line) for line in lines("12_[0-1]|PENDING|Resources\\nWelcome!\\n13_4|CANCELLED by 0|0:15")]
    [('12_0', 'PENDING', 'Resources'), ('12_1', 'PENDING', 'Resources'), ('13_4', 'CANCELLED', '0:15')]
    """
    found = []
    for line in text.splitlines():
        id, _, rest = line.strip().partition("|")
        state, bar, more = rest.partition("|")
        word = re.match(r"[A-Z_]+", state.strip())
        if bar and word:
            found += [Line(task, word[0], more.strip()) for task in tasks_of(id.strip())]
    return found


def tasks_of(id: str) -> list[str]:
    """The tasks that an id of squeue or sacct stands for; none if it is not of an array, or of a step of a task.

    >>> tasks_of("123_[0-2,7%2]"), tasks_of("123_[0-6:3]"), tasks_of("123_4"), tasks_of("123_4.batch")
    (['123_0', '123_1', '123_2', '123_7'], ['123_0', '123_3', '123_6'], ['123_4'], [])
    """
    found = TASK.fullmatch(id)
    if found is None:
        return []
    job, index, ranges = found.groups()
    if index is not None:
        return [f"{job}_{int(index)}"]
    indices: list[int] = []
    for part in ranges.split(","):
        one = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?", part, re.ASCII)
        if one is None or int(one[2] or 0) > LARGEST:
            return []
        indices += range(int(one[1]), int(one[2] or one[1]) + 1, max(1, int(one[3] or 1)))
    return [f"{job}_{i}" for i in indices]


def states(listed: str, accounted: str) -> dict[str, JobState]:
    """The state of every task, from the output of squeue and that of sacct ("" where it did not answer)."""
    past = {line.task_id: line for line in lines(accounted)}
    found = {task: said_by_sacct(line) for task, line in past.items()}
    for line in lines(listed):
        found[line.task_id] = said_by_squeue(line, past)
    return found


def said_by_squeue(line: Line, past: Mapping[str, Line]) -> JobState:
    """A task that squeue lists: its word counts, sacct only adds the exit code of the same end.

    One whose node failed, or that was preempted, may start again as long as it is listed.
    """
    if line.word in REQUEUED_AFTER:
        return JobState("alive", raw=line.word)
    if line.word in ENDS:
        before = past.get(line.task_id)
        code = exit_code(before.more) if before is not None and before.word == line.word else None
        return JobState("ended", ENDS[line.word], line.word, code)
    phase = GOES_ON.get(line.word, "unknown")
    return JobState(phase, raw=line.word, reason=line.more if phase == "pending" else "")


def said_by_sacct(line: Line) -> JobState:
    """A task that squeue does not list: it ended, or sacct has not heard of it yet."""
    if line.word in ENDS:
        return JobState("ended", ENDS[line.word], line.word, exit_code(line.more))
    return JobState("unknown", raw=line.word)


def exit_code(text: str) -> int | None:
    """The exit status as a shell would give it, from sacct's `status:signal`.

    >>> exit_code("3:0"), exit_code("0:9"), exit_code("")
    (3, 137, None)
    """
    found = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text, re.ASCII)
    if found is None:
        return None
    return int(found[1]) or (128 + int(found[2]) if int(found[2]) else 0)


def memory_kill(log_tail: str) -> bool:
    """Whether the end of a log says that Slurm, or the system, killed the task for its memory.

    Without cgroups Slurm reports such a task as FAILED with signal 9, like any other that was killed.

    >>> memory_kill("slurmstepd-n1: error: Exceeded job memory limit")
    True
    """
    return MEMORY_KILL.search(log_tail) is not None
