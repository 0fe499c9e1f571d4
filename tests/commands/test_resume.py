"""gridrun resume: one look, and what is to be done is done."""

from __future__ import annotations

import pytest
from fakes.cluster import Cluster
from tiny_study import TinyStudy


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_submitter_that_was_killed_is_replaced_and_nothing_is_computed_twice(
    away: TinyStudy, lsf: Cluster, moment: str
) -> None:
    lsf.switch(kill_submitter=moment)
    assert away.run("train", "-exp=waves", "-mode=lsf").status != 0
    lsf.switch(kill_submitter="")
    resumed = away.run("resume")
    assert resumed.status == 0, resumed.err
    assert ("submitted as job 101 before its submitter ended" if moment == "after" else "submitted what") in resumed.out
    (away.folder / "go").touch()
    assert away.run("wait").status == 0
    assert len(lsf.jobs()) == 1 and len(away.calls()) == 4


def test_nothing_to_resume(study: TinyStudy) -> None:
    assert study.run("resume").out == "nothing to resume: every submission is finished\n"


def test_it_leaves_what_runs_alone_and_says_how_far_it_is(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    done = away.run("resume")
    assert done.status == 0
    assert done.out.splitlines()[-1] == "4 pending of 4 points"
    assert len(lsf.jobs()) == 1


def test_a_scheduler_that_is_down_is_said_and_the_status_is_1(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    lsf.switch(down="fail")
    done = away.run("resume")
    assert done.status == 1 and "LSF is down" in done.out and "4 pending" in done.out
