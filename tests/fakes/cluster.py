"""A cluster of fake commands for one test: its folder, its switches, and PATH set to find the commands."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
COMMANDS = {
    "lsf": ("bsub", "bjobs", "bkill", "bstop", "bresume", "brequeue", "bhist", "bparams"),
    "slurm": ("sbatch", "squeue", "sacct", "scancel", "scontrol", "srun", "sinfo"),
}
WAIT_S = 60.0  # a deadline, not an expectation


class Cluster:
    """A running fake; kind: "slurm" or "lsf"."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind

    def switch(self, **values: Any) -> None:
        for name, value in values.items():
            path = self.folder / "switches" / name
            path.with_suffix(".new").write_text(str(value))
            path.with_suffix(".new").rename(path)

    def talk(self, **request: Any) -> dict[str, Any]:
        line = socket.socket(socket.AF_UNIX)
        door = os.open(self.folder, os.O_RDONLY)
        try:
            line.connect(f"/proc/self/fd/{door}/socket")  # the path of a socket is short
        finally:
            os.close(door)
        with line, line.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            return dict(json.loads(stream.readline()))

    def jobs(self) -> list[dict[str, Any]]:
        """Every job there ever was, with its tasks."""
        return list(self.talk(do="list")["jobs"])

    def tasks(self) -> list[dict[str, Any]]:
        return [{"job": job["id"], **task} for job in self.jobs() for task in job["tasks"]]

    def commands(self) -> list[str]:
        """Every command that was called, with its words."""
        log = self.folder / "commands.log"
        return log.read_text(errors="surrogateescape").splitlines() if log.exists() else []

    def script(self, job: int) -> bytes:
        """The script that was submitted, as it came."""
        return (self.folder / "spool" / f"{job}.sh").read_bytes()

    def pretend(self, word: str) -> None:
        """Let the listings say this word of every task."""
        self.talk(do="pretend", tasks=[(task["job"], task["index"]) for task in self.tasks()], word=word)

    def wait(self, condition: Callable[[Cluster], bool], wait_s: float = WAIT_S) -> None:
        """Until something is true of the cluster."""
        until(lambda: condition(self), wait_s, lambda: str(self.tasks()))

    def has_ended(self) -> bool:
        return all(task["phase"] == "ended" for task in self.tasks())


def until(condition: Callable[[], Any], wait_s: float = WAIT_S, told: Callable[[], str] = lambda: "") -> None:
    """Wait for something to be true. Raises AssertionError after `wait_s`."""
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, f"waited for {wait_s} s. {told()}"
        time.sleep(0.05)


def other_tools(folder: Path) -> Path:
    """Links to what PATH has, except commands of real schedulers: a missing one has to be missing."""
    folder.mkdir(parents=True)
    ours = {name for names in COMMANDS.values() for name in names} | {
        "sdiag",
        "sprio",
        "salloc",
        "scrontab",
        "sacctmgr",
    }
    for place in reversed(os.get_exec_path()):
        for name in set(os.listdir(place)) - ours if os.path.isdir(place) else ():
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path(place) / name)
    return folder


@contextmanager
def running(folder: Path, kind: str, tools: Path, patch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster in `folder`, with its commands on PATH; whatever it runs is killed at the end."""
    bin = folder / "bin"
    bin.mkdir(parents=True)
    (folder / "switches").mkdir()
    for name in COMMANDS[kind]:
        script = bin / name
        code = f"import sys; sys.path.insert(0, {str(HERE.parent)!r}); from fakes import {kind}; "
        words = [sys.executable, "-SI", "-c", f"{code}{kind}.main({name!r}, sys.argv[1:])"]
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        script.chmod(0o755)
    patch.setenv("FAKE_CLUSTER", str(folder))
    patch.setenv("PATH", f"{bin}{os.pathsep}{tools}")
    for name in list(os.environ):
        if name.startswith(("SLURM_", "LSB_", "LSF_", "SUBMITIT_")):
            patch.delenv(name)
    engine = subprocess.Popen([sys.executable, "-SE", str(HERE / "engine.py"), str(folder)], start_new_session=True)
    cluster = Cluster(folder, kind)
    try:
        until((folder / "socket").exists)
        yield cluster
    finally:
        pids = [task["pid"] for task in cluster.tasks() if task["phase"] in ("running", "suspended")]
        engine.send_signal(signal.SIGTERM)
        engine.wait(30)
        for pid in pids:
            until(lambda pid=pid: not is_alive(pid), 10)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False
