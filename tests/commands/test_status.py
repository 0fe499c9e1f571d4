"""gridrun status: counts by experiment."""

import json
import shutil
from pathlib import Path

import tiny_study
from fakes.cluster import Cluster, until
from tiny_study import TinyStudy


def counts(study: TinyStudy, *words: str) -> dict[str, dict[str, int]]:
    rows = json.loads(study.run("status", "--format=json", *words).out)
    return {row.pop("experiment"): row for row in rows}


def test_points_are_counted_by_state(study: TinyStudy) -> None:
    nothing = {"points": 4, "done": 0, "running": 0, "pending": 0, "failed": 0, "stale": 0, "missing": 4}
    assert counts(study) == {"rocks": nothing, "waves": nothing}
    study.run("train", "-exp=waves", "-seed=1")
    assert counts(study, "-exp=waves")["waves"] == {**nothing, "done": 2, "missing": 2}
    assert counts(study, "-exp=waves", "-seed=1")["waves"] == {
        **nothing,
        "points": 2,
        "done": 2,
        "missing": 0,
    }


def test_a_broken_page_is_named_and_the_others_are_counted(study: TinyStudy) -> None:
    study.write("rocks", "import nothing_of_this_name\n")
    done = study.run("status")
    assert done.status == 1
    assert "rocks: ModuleNotFoundError" in done.err
    assert done.out.splitlines()[1].split() == ["waves", "4", "0", "0", "0", "0", "0", "4"]


def test_what_was_submitted_is_pending_then_running_and_has_a_line_of_its_own(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    token = away.submission().name
    assert counts(away)["waves"] == {
        "points": 4, "done": 0, "running": 0, "pending": 2, "failed": 0, "stale": 0, "missing": 2
    }  # fmt: skip
    shown = away.run("status").out.splitlines()
    assert shown[-1].startswith(f"{token}  waves  lsf as job 101, ") and shown[-1].endswith(": 2 tasks: 2 pending")
    lsf.switch(hold="")
    until(lambda: counts(away)["waves"]["done"] == 1)
    until(lambda: away.run("status").out.splitlines()[-1].endswith(": 2 tasks: 1 done, 1 running"))
    (away.folder / "go").touch()
    until(lambda: counts(away)["waves"]["done"] == 2)


def test_the_tasks_are_listed_with_their_logs(away: TinyStudy, lsf: Cluster) -> None:
    away.run("train", "-exp=waves", "-seed=0", "-mode=lsf")
    until(lambda: counts(away)["waves"]["done"] == 1)
    until(lambda: len([row for row in tasks(away) if row["state"] == "running"]) == 1)
    first, second = sorted(tasks(away), key=lambda row: row["task"])
    assert (first["task"], first["state"], first["done"]) == ("101[1]", "done", "1/1")
    assert (second["task"], second["state"], second["done"]) == ("101[2]", "running", "0/1")
    assert "measuring level=0.2 seed=0" in Path(second["log"]).read_text()
    assert "101[2]  running  0/1" in away.run("status", "--tasks").out


def tasks(study: TinyStudy) -> list[dict[str, str]]:
    return json.loads(study.run("status", "--tasks", "--format=json").out)


def test_a_scheduler_that_does_not_answer_is_said_and_nothing_is_called_failed(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    lsf.switch(down="fail")
    shown = away.run("status")
    assert shown.status == 0
    assert shown.out.splitlines()[2].split() == ["waves", "4", "0", "0", "4", "0", "0", "0"]
    assert "4 pending" in shown.out and "LSF is down" in shown.out


def test_points_that_nobody_computes_are_lost_and_resume_is_named(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1, kill_submitter="before")
    assert away.run("train", "-exp=waves", "-mode=lsf").status != 0  # killed before the scheduler heard of it
    assert counts(away)["waves"]["pending"] + counts(away)["waves"].get("lost", 0) == 4
    shown = away.run("status").out
    assert "4 lost" in shown and "gridrun resume" in shown


def test_live_looks_until_nothing_is_left_and_elsewhere_than_on_a_terminal_prints_lines(away: TinyStudy) -> None:
    (away.folder / "go").touch()
    away.run("train", "-exp=waves", "-mode=lsf")
    done = away.run("status", "-exp=waves", "--live")
    assert done.status == 0
    assert done.out.splitlines()[-1].split() == ["waves", "4", "4", "0", "0", "0", "0", "0"]


def test_a_damaged_submission_does_not_hide_the_others(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    broken = away.submission()
    away.run("train", "-exp=rocks", "-mode=lsf")
    (broken / "manifest.json").write_text("{")
    shown = away.run("status")
    assert "rocks  lsf as job 102" in shown.out and "Traceback" not in shown.err


def test_what_a_copied_store_had_submitted_is_not_ours(away: TinyStudy, lsf: Cluster, tmp_path: Path) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    copy = tiny_study.make(tmp_path / "elsewhere")
    copy.write("waves", (away.folder / "experiments" / "waves.py").read_text())
    shutil.copytree(away.folder / "sessions", copy.folder / "sessions")
    assert counts(away)["waves"]["pending"] == counts(copy)["waves"]["missing"] == 4
    assert away.submission().name in away.run("status").out
    assert away.submission().name not in copy.run("status", "--tasks").out
    assert copy.run("resume").out.startswith("nothing to resume")
