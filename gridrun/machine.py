"""Who is running: this process, told apart from every other on any machine, and whether another one still lives."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, NamedTuple


class Owner(NamedTuple):
    """A process: `machine` is equal only where process ids mean the same; `start` tells a reused pid."""

    id: str
    host: str
    machine: str
    pid: int
    start: str
    job: str = ""

    def as_dict(self) -> dict[str, Any]:
        return self._asdict()

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


def host_name() -> str:
    """This machine's name."""
    return os.uname().nodename


def random_name() -> str:
    """16 hex digits that no other process draws."""
    return os.urandom(8).hex()


def this_owner() -> Owner:
    """The current process (a forked child is another owner than its parent)."""
    return _owner(os.getpid())


@functools.lru_cache(maxsize=8)
def _owner(pid: int) -> Owner:
    return Owner(random_name(), host_name(), machine_id(), pid, process_start(pid) or "", job_name())


def job_name() -> str:
    """The job of a scheduler that this process is part of, as its commands name it; "" outside one.

    12_3 is task 3 of Slurm's array 12, 12[4] task 4 of LSF's.
    """
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
    if array and index:
        return f"{array}_{index}"
    if slurm := os.environ.get("SLURM_JOB_ID", ""):
        return slurm
    lsf, index = os.environ.get("LSB_JOBID", ""), os.environ.get("LSB_JOBINDEX", "")
    return f"{lsf}[{index}]" if lsf and index not in ("", "0") else lsf


def is_alive(owner: Owner) -> bool | None:
    """Whether a process of this machine lives; None for one of another machine."""
    if owner.machine != machine_id():
        return None
    start = process_start(owner.pid)
    return start is not None and start == owner.start


@functools.lru_cache(maxsize=1)
def machine_id() -> str:
    """Host, boot and process-id namespace: containers that share a host name differ."""
    boot = _read("/proc/sys/kernel/random/boot_id").strip()
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return "/".join(part for part in (host_name(), boot, namespace) if part)


def process_start(pid: int) -> str | None:
    """When a process started, as the system writes it; None if there is no such process (or it is a zombie)."""
    if sys.platform.startswith("linux"):
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else None
    import subprocess

    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def process_age_s() -> float:
    """Seconds since this process started; 0 where the system does not say."""
    start, uptime = process_start(os.getpid()), _read("/proc/uptime").split()
    if not uptime or not start:
        return 0.0
    return float(uptime[0]) - int(start) / os.sysconf("SC_CLK_TCK")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
