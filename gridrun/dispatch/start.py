"""python -m gridrun.dispatch.start FOLDER: where a task of an array begins, on whatever machine it landed.

The call is in FOLDER before the array is submitted; here it gets the name under which submitit looks for it, so
nothing has to happen between the scheduler's answer and the start of the first task. submitit then reads it, minds
the signals of a time limit or a preemption, and starts the task again if it can.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from ..machine import job_name


def main(folder: Path) -> None:
    """Run this task of the array in `folder`. Ends with an exit status that is not 0 if it could not be run."""
    from submitit import JobEnvironment
    from submitit.core.submission import process_job

    folder = _plainly_named(folder)
    os.environ["SUBMITIT_FOLDER"] = str(folder)
    os.environ["GRIDRUN_TASK"] = job_name()
    if log := _output():
        os.environ["GRIDRUN_LOG"] = log
    paths = JobEnvironment().paths
    with contextlib.suppress(FileExistsError):  # a task that starts again finds its own, with the starts that are left
        _link(folder / "call.pkl", paths.submitted_pickle)
    try:
        process_job(folder)
        for left in (paths.submitted_pickle, paths.result_pickle):  # results are in the store
            left.unlink(missing_ok=True)
    finally:
        if folder.is_symlink():
            shutil.rmtree(folder.parent, ignore_errors=True)


def _plainly_named(folder: Path) -> Path:
    """The folder under a name without %, in which submitit sees the numbers of jobs."""
    if "%" not in str(folder):
        return folder
    link = Path(tempfile.mkdtemp(prefix="gridrun-")) / "array"
    link.symlink_to(folder)
    return link


def _output() -> str:
    """The file that this task prints to; "" if it is none."""
    try:
        name = os.readlink("/proc/self/fd/1")
    except OSError:
        return ""
    return name if os.path.isfile(name) else ""


def _link(call: Path, name: Path) -> None:
    try:
        os.link(call, name)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        name.write_bytes(call.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
