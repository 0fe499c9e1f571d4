"""IBM Spectrum LSF and OpenLava: arrays through bsub, one bjobs for all of them, bhist for what bjobs forgot."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import UsageError
from .answer import Answer
from .base import Array, JobState, SchedulerDown, SubmissionFailed
from .lsf_commands import ask
from .lsf_script import Request, exports, head
from .lsf_states import FIELDS, Line, bhist, bhist_ids, ibm, named, openlava

MAX_ARRAY = 1000  # LSF's own default
AT_ONCE = 500  # ids on one command line
NOT_FOUND = re.compile(r"Job <(\d+)[^>]*> is not found")
NONE_FOUND = re.compile(r"^No .*\b(job|jobs) found", re.IGNORECASE | re.MULTILINE)
SUBMITTED = re.compile(r"^Job <(\d+)> is submitted\b", re.MULTILINE)


class Lsf:
    """LSF as a scheduler. mem_unit: the unit of memory limits here (LSF_UNIT_FOR_LIMITS; KB where that is not set)."""

    name = "lsf"

    def __init__(self, mem_unit: str = "KB", timeout_s: float = 60.0) -> None:
        self.mem_unit = mem_unit
        self.timeout_s = timeout_s
        self._history: dict[str, JobState] = {}  # how tasks ended, where only bhist knows
        self._asked: set[str] = set()  # what bhist was asked about
        self._max_array: int | None = None

    def render(self, array: Array) -> str:
        wanted = array.settings
        if wanted.qos:
            raise UsageError(f"qos = {wanted.qos!r}: LSF has none; name a queue, or a service class as extra.-sla")
        request = Request(
            name=array.name,
            n_tasks=array.n_tasks,
            parallel=array.parallel,
            cpus=wanted.cpus_per_task,
            timeout_min=wanted.timeout_min,
            mem_gb=wanted.mem_gb,
            mem_unit=self.mem_unit,
            gpus=wanted.gpus_per_node,
            queue=wanted.partition,
            account=wanted.account,
            constraint=wanted.constraint,
            extra=wanted.extra,
        )
        log = f'{shlex.quote(str(array.logs))}/"${{LSB_JOBID}}_$((LSB_JOBINDEX - 1)).log"'
        command = f"{array.python} -u -m gridrun.dispatch.start {shlex.quote(str(array.folder))}"
        lines = [*head(request), "", f"exec < /dev/null >> {log} 2>&1", "export SUBMITIT_EXECUTOR=lsf"]
        # The signal of a time limit goes to every process: it ends none until Python listens, which has the shell's
        # place (exec) by then.
        lines.append("trap '' USR2")
        lines += [*exports(array.environment), *array.setup, f"exec {command}"]
        return "\n".join(lines) + "\n"

    def submit(self, array: Array, script: str) -> str:
        """Raises SchedulerDown also where it is not known whether LSF took the array; its name tells, later."""
        answer = ask(["bsub"], self.timeout_s, script)
        if answer.status:
            raise SubmissionFailed(answer.line)
        return job_number(answer)

    def poll(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        ids = sorted(set(job_ids))
        found = {line.task_id: line.state for line in list_jobs(ids, self.timeout_s)}
        self._forget(task for task, state in found.items() if state.phase != "ended")
        listed = {job_of(task) for task in found}
        forgotten = [id for id in ids if id not in listed]
        wordless = [task for task, state in found.items() if state.raw == "EXIT" and state.exit_code is None]
        self._look_back([*forgotten, *wordless])
        found |= {task: self._history[task] for task in wordless if task in self._history}
        return found | {task: state for task, state in self._history.items() if job_of(task) in forgotten}

    def _forget(self, tasks: Iterable[str]) -> None:
        """What was true of an earlier run of tasks that run again."""
        for task in tasks:
            self._history.pop(task, None)
            self._asked -= {task, job_of(task)}

    def _look_back(self, ids: Sequence[str]) -> None:
        """Ask bhist, once for each id; where it does not answer, the tasks' own last words have to do."""
        new = [id for id in ids if id not in self._asked]
        self._asked.update(new)
        for start in range(0, len(new), AT_ONCE):
            answer = try_asking(["bhist", "-n", "0", "-l", *new[start : start + AT_ONCE]], self.timeout_s)
            self._history |= {line.task_id: line.state for line in bhist(answer.out)}

    def find(self, names: Sequence[str]) -> dict[str, str]:
        """Of two jobs with one name, the first."""
        if not names:
            return {}
        listed = list_names(self.timeout_s)
        found = {name: min(listed[name], key=int) for name in names if name in listed}
        for name in names:
            if name not in found:
                answer = try_asking(["bhist", "-n", "0", "-a", "-J", name], self.timeout_s)
                found.update((name, id) for id in bhist_ids(answer.out)[:1])
        return found

    def cancel(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), AT_ONCE):  # those that ended or are not known make it fail, and do not matter
            ask(["bkill", *ids[start : start + AT_ONCE]], self.timeout_s)

    def max_array(self) -> int:
        if self._max_array is None:
            texts = (try_asking(["bparams", flag], self.timeout_s).out for flag in ("-a", "-l"))
            sizes = [int(size[1]) for text in texts if (size := re.search(r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d{1,9})", text))]
            self._max_array = sizes[0] if sizes else MAX_ARRAY
        return self._max_array

    def task_id(self, job_id: str, index: int) -> str:
        return f"{job_id}[{index + 1}]"

    def log(self, array_folder: Path, job_id: str, index: int) -> Path:
        return array_folder / "logs" / f"{job_id}_{index}.log"


def job_of(task: str) -> str:
    """The job of a task.

    >>> job_of("202[3]")
    '202'
    """
    return task.partition("[")[0]


def job_number(answer: Answer) -> str:
    """The number in bsub's answer, wherever a site's own lines stand around it.

    >>> job_number(Answer(0, "Welcome!\\nJob <202> is submitted to default queue <normal>.\\n", ""))
    '202'
    """
    found = SUBMITTED.search(answer.out) or SUBMITTED.search(answer.err)
    if found is None:
        raise SchedulerDown(f"bsub gave no job number: {answer.line}")
    return found[1]


def list_jobs(ids: Sequence[str], timeout_s: float) -> list[Line]:
    """Every task of these jobs that bjobs lists.

    Raises SchedulerDown unless each id is either listed or said to be unknown.
    """
    if not ids:
        return []
    answer = bjobs(["-o", f"{' '.join(FIELDS)} delimiter='|'", "-noheader", *ids], ["-w", *ids], timeout_s)
    read = openlava if dialect.is_openlava else ibm
    lines = [line for line in read(answer.out) if line.job_id in ids]
    missing = set(ids) - {line.job_id for line in lines} - set(NOT_FOUND.findall(answer.err + answer.out))
    if missing:
        raise SchedulerDown(f"bjobs says nothing of {', '.join(sorted(missing, key=int)[:5])}: {answer.line}")
    return lines


def list_names(timeout_s: float) -> dict[str, set[str]]:
    """Names of all jobs that bjobs lists, each with its jobs."""
    answer = bjobs(["-o", "jobid job_name delimiter='|'", "-noheader"], ["-w"], timeout_s)
    pairs = ((line.name, line.job_id) for line in openlava(answer.out)) if dialect.is_openlava else named(answer.out)
    found: dict[str, set[str]] = {}
    for name, id in pairs:
        found.setdefault(name, set()).add(id)
    return found


class Dialect:
    """Whether bjobs is OpenLava's, which has no -o; found out at the first call of a process."""

    is_openlava = False


dialect = Dialect()


def bjobs(ibm_words: Sequence[str], openlava_words: Sequence[str], timeout_s: float) -> Answer:
    """Ask in IBM's words; if these are not understood, in OpenLava's, for good. Ended jobs are listed too.

    OpenLava's bjobs has no -o, or one that knows fewer columns. Raises SchedulerDown if neither gives an answer.
    """
    if not dialect.is_openlava:
        answer = ask(["bjobs", "-a", *ibm_words], timeout_s)
        if is_answer(answer):
            return answer
    answer = ask(["bjobs", "-a", *openlava_words], timeout_s)
    if not is_answer(answer):
        raise SchedulerDown(f"bjobs: {answer.line}")
    dialect.is_openlava = True
    return answer


def is_answer(answer: Answer) -> bool:
    """Whether bjobs understood the question; that it knows none of the jobs, or not all, is an answer.

    >>> is_answer(Answer(255, "", "Job <9> is not found")), is_answer(Answer(255, "", "bjobs: illegal option -- o"))
    (True, False)
    """
    said = answer.out + answer.err
    return not answer.status or bool(NOT_FOUND.search(said) or NONE_FOUND.search(said))


def try_asking(words: Sequence[str], timeout_s: float) -> Answer:
    """The answer, or an empty one: for what is good to know and can be done without."""
    try:
        return ask(words, timeout_s)
    except SchedulerDown as error:
        return Answer(1, "", str(error))
