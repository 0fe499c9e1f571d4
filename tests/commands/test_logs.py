"""gridrun logs: what a task printed, found by task, point or submission."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from fakes.cluster import Cluster, until
from tiny_study import PAGE, TinyStudy

from gridrun.commands.logs import part_of, start_of_tail

PRINTING = PAGE.replace("    if point", "    print('at', point['level'], point['seed'], flush=True)\n    if point", 1)


@pytest.fixture
def done(away: TinyStudy) -> TinyStudy:
    """One task with two points that are done, another one with a point that failed."""
    away.write("rocks", PRINTING)
    away.run("train", "-exp=rocks", "-level=0.1", "-mode=lsf", "-launch=chunk=2")
    away.run("train", "-exp=rocks", "-level=bad", "-seed=7", "-mode=lsf")
    away.run("wait")
    return away


def ids(study: TinyStudy) -> dict[int, str]:
    rows = json.loads(study.run("query", "rocks_measure", "--keys=seed,id", "--format=json").out)
    return {row["seed"]: row["id"] for row in rows}


def test_the_log_of_a_task_by_the_scheduler_s_name(done: TinyStudy) -> None:
    log = done.run("logs", "101[1]")
    assert log.status == 0
    assert "at 0.1 0\n" in log.out and "at 0.1 1\n" in log.out
    path = log.err.removeprefix("==> ").strip()
    assert (done.folder / path).read_text() == log.out


def test_the_log_of_a_point_is_its_part_or_the_whole(done: TinyStudy) -> None:
    point = ids(done)[1][:8]
    part = done.run("logs", point)
    assert "at 0.1 1\n" in part.out and "at 0.1 0\n" not in part.out and "--whole" in part.err
    assert done.run("logs", point, "--whole").out == done.run("logs", "101").out


def test_the_log_of_a_failed_point_has_its_traceback_and_a_submission_shows_its_failed_tasks(done: TinyStudy) -> None:
    by_point = done.run("logs", ids(done)[7][:6])
    by_token = done.run("logs", done.submission().name[:5])
    for log in (by_point, by_token):
        assert "ValueError: no measurement at a bad level" in log.out and "at 0.1" not in log.out


def test_a_submission_without_failures_says_so(done: TinyStudy) -> None:
    token = min(done.folder.glob("sessions/jobs/*/manifest.json"), key=lambda path: path.stat().st_mtime_ns).parent.name
    log = done.run("logs", token)
    assert log.status == 1 and f"no task of {token} failed" in log.err and "101[1]" in log.err


def test_the_last_lines(done: TinyStudy) -> None:
    whole = done.run("logs", "101[1]").out.splitlines()
    assert done.run("logs", "101[1]", "--lines=3").out.splitlines() == whole[-3:]


def test_following_prints_until_the_task_ends(away: TinyStudy, lsf: Cluster) -> None:
    away.run("train", "-exp=waves", "-level=0.2", "-seed=3", "-mode=lsf")
    process = subprocess.Popen(
        away.command("logs", "101[1]", "--follow"), cwd=away.folder, env=away.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("measuring level=0.2 seed=3" in line for line in lines)
    (away.folder / "go").touch()
    rest = "".join(lines)
    assert process.wait(60) == 0 and "1 done in" in rest


def test_a_task_that_has_not_started_has_no_log_yet(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    log = away.run("logs", "101[2]")
    assert log.status == 1 and "the task has not started" in log.err


def test_a_point_that_was_computed_here(study: TinyStudy) -> None:
    study.run("train", "-exp=rocks", "-seed=0", "-level=0.1")
    (point,) = json.loads(study.run("query", "--keys=id", "--format=json").out)
    log = study.run("logs", point["id"][:8])
    assert log.status == 1 and "on this machine" in log.err


@pytest.mark.parametrize("word", ["ffffffff", "999", "999[3]", "wave"])
def test_what_nothing_is_called_is_an_error(away: TinyStudy, lsf: Cluster, word: str) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=waves", "-mode=lsf")
    log = away.run("logs", word)
    assert log.status == 2 and (f"no submission, task or point {word!r}" in log.err or "at least 4 digits" in log.err)


@pytest.mark.parametrize("content", [b"", b"one", b"one\n", b"one\ntwo", b"a\n\n\nb\n", b"x\n" * 100_000])
@pytest.mark.parametrize("lines", [0, 1, 2, 10])
def test_the_tail_of_a_file(tmp_path: Path, content: bytes, lines: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    kept = content.splitlines(keepends=True)
    with open(path, "rb") as file:
        file.seek(start_of_tail(file, lines))
        assert file.read() == b"".join(kept[max(0, len(kept) - lines) :])


def test_the_part_of_a_point_that_began_twice_is_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    begin = "2026-01-02 03:04:05 point {}  seed=0\n".format
    path.write_text(f"start\n{begin('a' * 8)}first\n{begin('b' * 8)}other\n{begin('a' * 8)}second\n{begin('c' * 8)}")
    start, end = part_of(path, "a" * 32)
    assert path.read_text()[start:end] == f"{begin('a' * 8)}second\n"
    assert part_of(path, "d" * 32) == (0, None)


def test_a_log_that_is_written_late_is_waited_for(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-seed=0", "-level=0.1", "-mode=lsf")
    process = subprocess.Popen(
        away.command("logs", "101[1]", "--follow"), cwd=away.folder, env=away.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    lsf.switch(hold="")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "1 done in" in out, err
    until(lambda: away.run("wait").status == 0)
