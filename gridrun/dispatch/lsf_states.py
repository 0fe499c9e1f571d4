"""What LSF's listings say of each task: bjobs as IBM's LSF and as OpenLava print it, and bhist for the forgotten.

Whatever cannot be read says nothing: a line that is cut, or is no line of a listing, is passed over.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .base import JobState

FIELDS = ("jobid", "jobindex", "stat", "exit_code", "exit_reason", "pend_reason")

PHASES = {
    "PEND": "pending",
    "PROV": "pending",
    "WAIT": "pending",
    "PSUSP": "pending",  # held before it started
    "RUN": "running",
    "USUSP": "alive",
    "SSUSP": "alive",
    "UNKWN": "alive",  # its machine does not answer
    "ZOMBI": "alive",  # killed or run again once its machine answers
    "DONE": "ended",
    "EXIT": "ended",
}

CAUSES = {
    "TERM_MEMLIMIT": "memory",
    "TERM_SWAP": "memory",
    "TERM_RUNLIMIT": "time",
    "TERM_CPULIMIT": "time",
    "TERM_DEADLINE": "time",
    "TERM_PREEMPT": "preempted",
    "TERM_WINDOW": "preempted",
    "TERM_LOAD": "preempted",
    "TERM_REQUEUE_OWNER": "preempted",
    "TERM_REQUEUE_ADMIN": "preempted",
    "TERM_OWNER": "cancelled",
    "TERM_FORCE_OWNER": "cancelled",
    "TERM_ADMIN": "cancelled",
    "TERM_FORCE_ADMIN": "cancelled",
    "TERM_BUCKET_KILL": "cancelled",
    "TERM_ORPHAN_SYSTEM": "cancelled",
    "TERM_ZOMBIE": "node",
    "TERM_REMOVE_HUNG_JOB": "node",
    "TERM_RMS": "node",
}
NUMBERED = {1: "PREEMPT", 2: "WINDOW", 3: "LOAD", 5: "RUNLIMIT", 6: "DEADLINE", 8: "FORCE_OWNER", 9: "FORCE_ADMIN"}
NUMBERED |= {10: "REQUEUE_OWNER", 11: "REQUEUE_ADMIN", 12: "CPULIMIT", 14: "OWNER", 15: "ADMIN", 16: "MEMLIMIT"}
NUMBERED |= {18: "RMS", 19: "ZOMBIE", 20: "SWAP", 23: "BUCKET_KILL", 26: "REMOVE_HUNG_JOB", 27: "ORPHAN_SYSTEM"}


class Line(NamedTuple):
    """One task of a listing: its job, its index as LSF counts (0: of no array), its job's name where it is listed."""

    job_id: str
    element: int
    state: JobState
    name: str = ""

    @property
    def task_id(self) -> str:
        return f"{self.job_id}[{self.element}]" if self.element else self.job_id


TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}")
ID = re.compile(r"(\d{1,18})(?:\[(\d{1,9})\])?", re.ASCII)


def ibm(text: str) -> list[Line]:
    """Tasks of `bjobs -o "jobid jobindex stat exit_code exit_reason pend_reason delimiter='|'"`.

    >>> [line] = ibm("202|3|EXIT|137|TERM_MEMLIMIT: job killed after reaching LSF memory usage limit|-")
    >>> line.task_id, line.state.cause, line.state.exit_code
    ('202[3]', 'memory', 137)
    """
    found = []
    for line in text.splitlines():
        job, _, rest = line.partition("|")
        parts = [part.strip() for part in rest.split("|", 4)]
        id = ID.fullmatch(job.strip())
        if id and len(parts) == 5 and parts[1] in PHASES and re.fullmatch(r"\d{1,9}|-|", parts[0], re.ASCII):
            element = int(id[2] or (parts[0] if parts[0].isdigit() else 0))
            found.append(Line(id[1], element, state(parts[1], parts[2], parts[3], parts[4])))
    return found


def openlava(text: str) -> list[Line]:
    """Tasks of `bjobs -w -a`, whose columns are JOBID USER STAT QUEUE FROM_HOST EXEC_HOST JOB_NAME SUBMIT_TIME.

    >>> [line] = openlava("202  ada  RUN  normal  login  node7  arr[2]  Nov 21 10:31")
    >>> line.task_id, line.state.phase, line.name
    ('202[2]', 'running', 'arr')
    """
    found = []
    for line in text.splitlines():
        words = line.split()  # 9 of a job that has no machine yet, else 10; the last three are a time
        id = ID.fullmatch(words[0]) if len(words) in (9, 10) and TIME.fullmatch(words[-1]) else None
        if id and words[2] in PHASES:
            name, bracket, number = words[-4].removesuffix("]").rpartition("[")
            element = int(id[2] or (number if bracket and re.fullmatch(r"[0-9]{1,9}", number) else 0))
            found.append(Line(id[1], element, state(words[2]), name if bracket else words[-4]))
    return found


def state(word: str, exit_code: str = "-", exit_reason: str = "-", pend_reason: str = "-") -> JobState:
    """The state of a task from bjobs's words; `-` is a field without a value."""
    phase = PHASES.get(word, "unknown")
    if phase == "pending":
        held = "held by its owner or an administrator" if word == "PSUSP" else ""
        return JobState(phase, raw=word, reason=pend_reason.strip("-; ") or held)
    if phase != "ended":
        return JobState(phase, raw=word)
    if word == "DONE":
        return JobState(phase, "completed", word, 0)
    code = int(exit_code) if re.fullmatch(r"\d{1,6}", exit_code, re.ASCII) else None
    ended_by = reason(exit_reason)
    return JobState(phase, CAUSES.get(ended_by, "failed"), f"{word} {ended_by}".strip(), code)


def reason(text: str) -> str:
    """Why LSF ended a job, TERM_..., from its name or its number; "" if there is none.

    >>> reason("TERM_OWNER: job killed by owner"), reason("16"), reason("-")
    ('TERM_OWNER', 'TERM_MEMLIMIT', '')
    """
    word = re.search(r"TERM_[A-Z_]+", text)
    if word:
        return word[0]
    number = re.fullmatch(r"\s*(\d{1,3})\s*", text, re.ASCII)
    return f"TERM_{NUMBERED[int(number[1])]}" if number and int(number[1]) in NUMBERED else ""


BLOCK = re.compile(rf"^Job <{ID.pattern}>", re.MULTILINE | re.ASCII)
# bhist breaks its lines anywhere, and may lose a blank there.
EVENT = re.compile(
    r"(?P<completed>Done\s*successfully)|Exited\s*with\s*exit\s*code\s*(?P<code>\d{1,6})"
    r"|Exited\s*by\s*(?:LSF\s*)?signal\s*(?P<signal>\d{1,3})|Completed\s*<exit>(?:;\s*(?P<why>TERM_[A-Z_]+))?"
    r"|(?P<exited>\bExited\s*[;.])|(?P<limit>RUNLIMIT|CPULIMIT|MEMLIMIT|DEADLINE)\s*was\s*reached"
    r"|(?P<killed>Signal\s*<(?:KILL|INT|TERM)>\s*requested|Termination\s*request)"
    r"|(?P<again>Starting\s*\(Pid|requeued|Pending:|Signal\s*<REQUEUE|Dispatched\s*to|Started\s*on)"
)


def bhist(text: str) -> list[Line]:
    """Tasks that ended, of `bhist -l`: those whose last event is an end.

    >>> [line] = bhist("Job <7[2]>, Job Name <a>\\nFri Nov 20 10:00:00: Exited with exit code 3. The CPU time")
    >>> line.task_id, line.state.cause, line.state.exit_code
    ('7[2]', 'failed', 3)
    """
    found = []
    blocks = [*BLOCK.finditer(text)]
    for block, after in zip(blocks, [*(b.start() for b in blocks[1:]), len(text)]):
        ending = _ending(re.sub(r"\n {5,}", "", text[block.end() : after]))  # lines are broken within words
        if ending is not None:
            found.append(Line(block[1], int(block[2] or 0), ending))
    return found


def _ending(events: str) -> JobState | None:
    """How the last start of a task ended; None if it may go on, or says nothing of it."""
    ended, code, why = "", "-", ""
    for event in EVENT.finditer(events):
        if event["again"]:
            ended, code, why = "", "-", ""
        elif event["limit"] or event["killed"]:
            why = f"TERM_{event['limit']}" if event["limit"] else why or "TERM_OWNER"
        else:
            ended = "DONE" if event["completed"] else "EXIT"
            code = event["code"] or (str(128 + int(event["signal"])) if event["signal"] else code)
            why = event["why"] or why
    return state(ended, code, why) if ended else None


def named(text: str) -> list[tuple[str, str]]:
    """Name and job of every line of `bjobs -o "jobid job_name delimiter='|'"`.

    >>> named("202|arr[2]")
    [('arr', '202')]
    """
    found = []
    for line in text.splitlines():
        job, _, name = line.partition("|")
        id = ID.fullmatch(job.strip())
        if id and name.strip():
            found.append((re.sub(r"\[\d+\]$", "", name.strip()), id[1]))
    return found


def bhist_ids(text: str) -> list[str]:
    """Job ids of the table that `bhist -a` prints."""
    rows = (ID.match(line.strip()) for line in text.splitlines())
    return sorted({row[1] for row in rows if row}, key=int)
