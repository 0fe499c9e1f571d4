"""gridrun wait: what is followed, what is said, and the exit status."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from fakes.cluster import Cluster, until
from tiny_study import PAGE, TinyStudy


def test_there_is_nothing_to_wait_for(study: TinyStudy) -> None:
    done = study.run("wait")
    assert (done.status, done.out) == (0, "nothing is waiting: every submission is finished\n")


def test_it_waits_for_one_submission_or_all(away: TinyStudy, lsf: Cluster) -> None:
    away.run("train", "-exp=waves", "-mode=lsf")
    first = away.submission().name
    away.run("train", "-exp=rocks", "-mode=lsf")
    second = away.submission().name
    done = away.run("wait", second[:6])
    assert done.status == 0 and done.out.splitlines()[-1] == "4 done of 4 points"
    (away.folder / "go").touch()
    assert away.run("wait").out.splitlines()[-1] == "4 done of 4 points"
    assert away.run("wait", first, second).out.splitlines()[-1] == "8 done of 8 points"


def test_failed_points_are_named_with_what_sets_them_apart_why_and_where_their_log_is(away: TinyStudy) -> None:
    away.write("rocks", PAGE.replace('"level", [0.1, 0.2]', '"level", [0.1, "bad"]'))
    away.run("train", "-exp=rocks", "-mode=lsf")
    done = away.run("wait")
    assert done.status == 1
    assert done.out.splitlines()[-1] == "2 done, 2 failed of 4 points"
    assert "level=bad seed=1: ValueError: no measurement at a bad level" in done.err
    log = next(line.partition(": ")[2] for line in done.err.splitlines() if "its log" in line)
    assert "no measurement at a bad level" in (away.folder / log).read_text()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_sent_again(away: TinyStudy, lsf: Cluster) -> None:
    away.write(
        "rocks", PAGE.replace("    if point", "    STUDY.joinpath('died').exists() or die()\n    if point") + DIE
    )
    away.run("train", "-exp=rocks", "-seed=0", "-level=0.1", "-mode=lsf")
    done = away.run("wait")
    assert done.status == 0, done.err
    assert "again as it was" in done.out and done.out.splitlines()[-1] == "1 done of 1 point"
    assert len(lsf.jobs()) == 2


DIE = """

def die():
    STUDY.joinpath('died').touch()
    __import__('os').kill(__import__('os').getpid(), 9)
"""


def test_ctrl_c_leaves_the_jobs_alone_and_says_so(away: TinyStudy, lsf: Cluster) -> None:
    away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    process = subprocess.Popen(
        away.command("wait"), cwd=away.folder, env=away.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()  # it has looked once
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the jobs go on" in err and "gridrun cancel" in err and "Traceback" not in err
    (away.folder / "go").touch()
    until(lambda: len(away.calls()) == 2)
    assert away.run("wait").status == 0


def test_a_submission_that_there_is_not_is_an_error(away: TinyStudy) -> None:
    done = away.run("wait", "ffff")
    assert done.status == 2 and "no submission 'ffff'" in done.err
