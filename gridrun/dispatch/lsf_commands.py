"""LSF's commands, each asked with an end to the waiting: where LSF is down, they would wait for ever."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence

from .answer import Answer
from .base import SchedulerDown

DOWN = re.compile(
    r"LSF is down|not responding|LIM is down|LIM is not|daemon.{0,40}down|cannot connect to LSF|LSF library call"
    r"|communication timeout|connection (refused|reset)|please wait",
    re.IGNORECASE,
)
QUIET = ("BSUB_QUIET", "BSUB_QUIET2", "LSB_BJOBS_FORMAT")  # they would hide the number of a job, or columns


def ask(words: Sequence[str], timeout_s: float, text: str | None = None) -> Answer:
    """Run a command of LSF, `text` to its standard input.

    Raises SchedulerDown if it is missing, does not answer in time, or says that LSF is down.
    """
    environment = {key: value for key, value in os.environ.items() if key not in QUIET} | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            list(words),
            input=(text or "").encode(errors="surrogateescape"),
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
    out, err = (said.decode(errors="replace") for said in (done.stdout, done.stderr))
    answer = Answer(done.returncode, out, err, "not submitted")
    if answer.status in (126, 127) or (answer.status and DOWN.search(answer.err)):  # 127: a wrapper found no command
        raise SchedulerDown(f"{words[0]}: {answer.line}")
    return answer
