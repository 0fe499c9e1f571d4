"""gridrun train -mode=lsf: what is submitted, and what is said of it."""

from __future__ import annotations

import subprocess

import pytest
from fakes.cluster import Cluster
from tiny_study import PAGE, TinyStudy


def test_the_dry_run_prints_what_is_submitted_byte_for_byte_and_touches_nothing(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks")  # a store is there, and pages are compiled
    away.run("status")
    before = away.files()
    dry = away.run("train", "-exp=waves", "-mode=lsf", "-launch=mem_gb=3,chunk=3", "--dry-run")
    assert dry.status == 0, dry.err
    assert "waves: 4 points: 4 missing" in dry.out and "nothing was submitted" in dry.out
    assert away.files() == before and lsf.jobs() == []
    assert away.run("train", "-exp=waves", "-mode=lsf", "-launch=mem_gb=3,chunk=3").status == 0
    script = (away.submission() / "0" / "script.sh").read_text()
    assert f"\n{script}-----\n" in dry.out


def test_the_dry_run_says_who_asked_for_what(away: TinyStudy) -> None:
    away.write("waves", "launch_settings = {'timeout_min': 7, 'extra': {'-P': 'vision'}}\n" + PAGE)
    dry = away.run("train", "-exp=waves", "-mode=lsf", "-launch=mem_gb=3", "--dry-run")
    told = [line.split(maxsplit=2) for line in dry.out.splitlines() if line.startswith("  ")]
    assert ["mem_gb", "3", "-launch"] in told
    assert ["timeout_min", "7", "launch_settings of experiments/waves.py"] in told
    assert ["chunk", "1", "launch/lsf.toml [settings]"] in told
    assert ["extra.-P", "vision", "launch_settings of experiments/waves.py"] in told
    assert "#BSUB -W 7\n" in dry.out and "vision" in dry.out


def test_submitting_leaves_at_once_and_says_what_to_type_next(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    done = away.run("train.py", "-exp=waves", "-mode=bsub")
    token = away.submission().name
    assert done.status == 0
    assert done.out.startswith("submitted 4 points in 4 tasks: ")
    assert f"submission {token}, job 101 (4 tasks)" in done.out
    for command in ("status", f"wait {token[:6]}", f"logs {token[:6]}", f"cancel {token[:6]}"):
        assert f"  gridrun {command} " in done.out
    assert len(lsf.jobs()) == 1


def test_a_second_run_submits_nothing_and_names_what_waits(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    token = away.submission().name
    again = away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    assert again.status == 0 and len(lsf.jobs()) == 1
    assert again.out == (
        f"2 points sent before, in submission {token}: `gridrun wait {token[:6]}` follows it\nnothing to submit\n"
    )
    more = away.run("train", "-exp=waves", "-mode=lsf")
    assert "2 points sent before" in more.out and "submitted 2 points in 2 tasks" in more.out


def test_with_wait_it_stays_and_ends_as_a_local_run_does(away: TinyStudy) -> None:
    (away.folder / "go").touch()
    done = away.run("train", "-exp=waves,rocks", "-mode=lsf", "--wait")
    assert done.status == 0, done.err
    assert done.out.endswith("waves: 4 points: 4 cached\nrocks: 4 points: 4 cached\n")
    assert sorted(away.calls()) == sorted(
        f"{n} level={x} seed={s}" for n in ("waves", "rocks") for x in (0.1, 0.2) for s in (0, 1)
    )
    again = away.run("train", "-exp=waves,rocks", "-mode=lsf", "--wait").out
    assert again == "nothing to submit: every point is done\nwaves: 4 points: 4 cached\nrocks: 4 points: 4 cached\n"
    assert away.run("figures").status == 0


def test_with_wait_a_failed_point_is_named_and_the_status_is_1(away: TinyStudy) -> None:
    done = away.run("train", "-exp=rocks", "-level=bad", "-seed=0", "-mode=lsf", "--wait")
    assert done.status == 1
    assert "rocks: 1 point: 1 failed" in done.out and "no measurement at a bad level" in done.err


def test_a_snapshot_lets_you_edit_while_jobs_wait(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    assert away.run("train", "-exp=rocks", "-seed=0", "-mode=lsf", "--snapshot").status == 0
    page = away.folder / "experiments" / "rocks.py"
    page.write_text(page.read_text().replace("1 - point", "2 - point"))
    lsf.switch(hold="")
    assert away.run("wait").status == 0
    page.write_text(page.read_text().replace("2 - point", "1 - point"))
    assert "rocks: 2 points: 2 cached" in away.run("train", "-exp=rocks", "-seed=0", "--dry-run").out


def test_without_a_snapshot_an_edited_function_is_not_taken_for_the_one_that_was_sent(
    away: TinyStudy, lsf: Cluster
) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-seed=0", "-level=0.1", "-mode=lsf")
    page = away.folder / "experiments" / "rocks.py"
    page.write_text(page.read_text().replace("1 - point", "2 - point"))
    lsf.switch(hold="")
    done = away.run("wait")
    assert done.status == 1
    assert "edited after it was sent" in done.err and away.calls() == []


def test_points_side_by_side_in_a_task_get_their_cores(away: TinyStudy) -> None:
    dry = away.run("train", "-exp=waves", "-mode=lsf", "-n_threads=3", "--dry-run")
    assert "#BSUB -n 3\n" in dry.out and ["cpus_per_task", "3", "-n_threads"] in [
        line.split() for line in dry.out.splitlines()
    ]


def test_force_computes_again_over_there(away: TinyStudy) -> None:
    away.run("train", "-exp=rocks", "-seed=0", "-level=0.1")
    again = away.run("train", "-exp=rocks", "-seed=0", "-level=0.1", "-mode=lsf", "-force", "--wait")
    assert again.status == 0 and again.out.startswith("submitted 1 point in 1 task"), again
    assert len(away.calls()) == 2


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-mode=slrum"], "did you mean"),
        (["-mode=lsf", "-launch=memgb=8"], "-launch: no key 'memgb'; did you mean 'mem_gb'?"),
        (["-mode=lsf", "-launch=mem_gb"], "write mem_gb=8"),
        (["-mode=lsf", "-launch=mem_gb=0"], "-launch: mem_gb = 0"),
        (["-launch=mem_gb=8"], "-launch is for a cluster"),
        (["-mode=local", "--snapshot"], "-snapshot is for a cluster"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_sent(
    away: TinyStudy, lsf: Cluster, words: list[str], error: str
) -> None:
    (away.folder / "launch" / "slurm.toml").touch()
    done = away.run("train", "-exp=waves", *words)
    assert (done.status, done.out) == (2, "") and error in done.err and "Traceback" not in done.err
    assert lsf.jobs() == [] and not (away.folder / "sessions").exists()


def test_a_page_that_asks_for_what_there_is_not_is_named(away: TinyStudy) -> None:
    away.write("waves", "launch_settings = {'memory_gb': 7}\n" + PAGE)
    done = away.run("train", "-exp=waves", "-mode=lsf")
    assert done.status == 2
    assert "launch_settings of experiments/waves.py: no key 'memory_gb'; did you mean 'mem_gb'?" in done.err


def test_what_the_scheduler_refuses_is_said_in_its_words(away: TinyStudy) -> None:
    done = away.run("train", "-exp=waves", "-mode=lsf", "-launch=queue=nosuch")
    assert done.status == 1 and "nosuch: No such queue" in done.err and "Traceback" not in done.err
    assert "4 missing" in away.run("train", "-exp=waves", "--dry-run").out


def test_a_scheduler_that_does_not_answer_is_said_and_resume_submits(away: TinyStudy, lsf: Cluster) -> None:
    (away.folder / "go").touch()
    lsf.switch(down="fail")
    done = away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    assert done.status == 1 and "Traceback" not in done.err
    assert "the submission is kept: `gridrun resume` sends it" in done.err
    lsf.switch(down="")
    away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    resumed = away.run("resume", "--wait")
    assert resumed.status == 0, resumed.err + resumed.out
    assert sorted(away.calls()) == ["waves level=0.1 seed=0", "waves level=0.2 seed=0"]
    assert len(subprocess.run(["bjobs", "-a"], capture_output=True, text=True, check=False).stdout.splitlines()) == 3
