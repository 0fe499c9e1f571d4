"""What dispatch costs, on a real Slurm (launch/test_cluster starts one on this machine).

    launch/test_cluster/up.sh; export SLURM_CONF=...; python -m benchmarks.cluster

Writes benchmarks/CLUSTER.md: seconds a task takes beside its points, many short points through Slurm against the same
points here one after another, how long it takes to judge a hundred dead tasks, and the calls that a task and a point
cost a shared disk.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gridrun import ensure
from gridrun.dispatch.follow import Follower
from gridrun.dispatch.inprocess import InProcess
from gridrun.dispatch.profile import Profile
from gridrun.dispatch.submit import draft, send
from gridrun.progress import duration

from . import machine
from .cluster_points import nap

PAGE = Path(__file__).with_name("CLUSTER.md")
POINT_S = 0.05
AS_A_TASK = {
    "SUBMITIT_EXECUTOR": "slurm",
    "SLURM_JOB_ID": "1",
    "SLURM_ARRAY_JOB_ID": "1",
    "SLURM_ARRAY_TASK_ID": "0",
    "PYTHONPATH": str(Path(__file__).parents[1]),
}
CALLS = "open,openat,creat,stat,lstat,newfstatat,statx,rename,link,unlink,mkdir,getdents64,flock,fsync,utimensat,access"


def seconds(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def slurm(**more: object) -> Profile:
    return Profile("slurm", "slurm", settings={"mem_gb": 0.4, "timeout_min": 10, **more})


def grid(n_points: int, point_s: float, name: str) -> list[dict[str, object]]:
    return [{"x": x, "seconds": point_s, "name": name} for x in range(n_points)]


def through_slurm(points: list[dict[str, object]], folder: Path, **more: object) -> float:
    call = ensure(points, nap, mode=slurm(**more), cache_dir=folder, progress=False)
    return seconds(lambda: call("{x}", "{seconds}", "{name}"))


def a_task(folder: Path) -> tuple[float, float]:
    """(seconds a task takes beside its points, seconds until the first result is back), of tasks of one empty point."""
    first = through_slurm(grid(1, 0.0, "first"), folder / "first", chunk=1)
    n_tasks, n_side_by_side = 40, int(subprocess.check_output(["sinfo", "-h", "-p", "main", "-o", "%C"]).split(b"/")[3])
    whole = through_slurm(grid(n_tasks, 0.0, "many"), folder / "many", chunk=1)
    return (whole - first) * n_side_by_side / (n_tasks - 1), first


def short_points(folder: Path) -> tuple[float, float]:
    """(seconds of 2,000 points of 50 ms in Slurm's tasks, seconds here), one after another."""
    points = grid(2000, POINT_S, "short")
    away = through_slurm(points, folder / "away", point_s=POINT_S)
    call = ensure(points, nap, cache_dir=folder / "here", progress=False)
    return away, seconds(lambda: call("{x}", "{seconds}", "{name}"))


def the_dead(folder: Path) -> float:
    """Seconds from the first look at a hundred dead tasks until all of them were sent again."""
    backend = InProcess(lose=[("1", index) for index in range(100)])
    profile = Profile("inprocess", "inprocess", settings={"chunk": 1})
    plan = draft(grid(100, 0.0, "dead"), nap, profile=profile, cache_dir=folder / "dead", backend=backend)
    submission = send(plan("{x}", "{seconds}", "{name}"))
    assert submission is not None
    follower = Follower([submission], backend=backend)
    return seconds(follower.settle)


def disk_calls(folder: Path) -> dict[str, Counter[str]]:
    """System calls that name a file, of a task of one point and of a task of 101, from strace; empty without strace."""
    if not shutil.which("strace"):
        return {}
    found = {}
    for n_points in (1, 101):
        place = folder / f"calls{n_points}"
        profile = Profile("slurm", "slurm", settings={"chunk": n_points})
        plan = draft(grid(n_points, 0.6, f"calls{n_points}"), nap, profile=profile, cache_dir=place, backend=Unheard())
        submission = send(plan("{x}", "{seconds}", "{name}"))
        assert submission is not None
        trace = folder / f"trace{n_points}"
        task = [sys.executable, "-m", "gridrun.dispatch.start", str(submission.folder / "0")]
        strace = ["strace", "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(trace)]
        subprocess.run([*strace, *task], check=True, env={**os.environ, **AS_A_TASK}, stdout=subprocess.DEVNULL)
        lines = [line for line in trace.read_text().splitlines() if str(place) in line]
        found[str(n_points)] = Counter(re.split(r"[( ]+", line)[1] for line in lines)
    return found


class Unheard(InProcess):
    """Takes a submission and does nothing: the task is started by hand."""

    def _run(self, array, job_id, index):  # type: ignore[no-untyped-def]
        from gridrun.dispatch.base import JobState

        return JobState("pending")


def page(folder: Path) -> str:
    load = machine.load()
    a_task_s, first_s = a_task(folder)
    away_s, here_s = short_points(folder)
    dead_s = the_dead(folder)
    calls = disk_calls(folder)
    rows = [
        ("one task beside its points", f"{a_task_s:.2f} s of a core", "40 tasks of one empty point each, on all nodes"),
        ("the first result of a new submission", f"{first_s:.1f} s", "sent, computed and loaded"),
        ("2,000 points of 50 ms in one task", f"{away_s:.1f} s", f"{away_s / here_s:.3f} times here ({here_s:.1f} s)"),
        ("100 dead tasks judged and sent again", f"{dead_s:.1f} s", "30 s without a sign of life included"),
    ]
    lines = ["# What dispatch costs", "", "`python -m benchmarks.cluster`, on a Slurm of four nodes on one machine."]
    lines += ["", "| | measured | |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    if calls:
        one, many = calls["1"], calls["101"]
        each = (many.total() - one.total()) / 100
        lines += ["", "## Calls that name a file of the store or of the submission", ""]
        lines += ["| | calls | |", "|---|---|---|"]
        lines += [f"| a task of one point | {one.total()} | {_told(one)} |"]
        lines += [f"| each further point of 0.6 s | {each:.1f} | {_told(many - one, 100)} |"]
    lines += ["", *(f"- {name}: {value}" for name, value in machine.facts(load).items()), ""]
    lines += [f"The whole took {duration(time.monotonic() - BEGUN)}.", ""]
    return "\n".join(lines)


def _told(calls: Counter[str], share: int = 1) -> str:
    return ", ".join(f"{name} {number / share:.3g}" for name, number in calls.most_common())


BEGUN = time.monotonic()

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="gridrun-cluster-") as place:
        PAGE.write_text(text := page(Path(place)), encoding="utf-8")
    print(text)
