"""What is followed, on a terminal and elsewhere."""

from __future__ import annotations

import io
import os
import subprocess
import types
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fakes.cluster import Cluster
from tiny_study import TinyStudy

from gridrun.commands import _following, status
from gridrun.commands._submissions import count_line, lines_of
from gridrun.dispatch.case import PointView, TaskView

COUNTS = {"done": 3, "running": 1, "pending": 0, "failed": 1, "cancelled": 0, "lost": 0}


def view(problem: str = "", counts: dict[str, int] = COUNTS, n_tasks: int = 2, finished: bool = False) -> Any:
    """What a follower would show of one submission."""
    manifest = {"experiments": {"waves": 5}, "mode": "slurm", "created": 0.0}
    sent = types.SimpleNamespace(token="3f2a91c0ab12", manifest=manifest)
    case = types.SimpleNamespace(submission=sent, history=types.SimpleNamespace(jobs={0: "12"}), is_settled=finished)
    states = ["running", "failed"] + ["pending"] * (n_tasks - 2)
    tasks = [TaskView(sent.token, 0, i, f"12_{i}", state, 5, 3, 1, "", None) for i, state in enumerate(states)]
    return types.SimpleNamespace(
        cases=[case],
        counts=counts,
        eta_s=75.0,
        problem=problem,
        tasks=tasks,
        points=lambda: iter(()),
        finished=finished,
    )


def text(what: Any) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=110, record=True)
    console.print(what)
    return console.export_text()


def test_a_bar_has_counts_in_words_and_the_time_left() -> None:
    first, second = text(_following.drawn(view())).splitlines()
    assert first.split()[:2] == ["3f2a91", "waves"]
    assert "4 of 5" in first and "3 done  1 running  1 failed" in first and "0 pending" not in first
    assert second.strip() == "about 1 min 15 s left"
    assert "Slurm does not answer" in text(_following.drawn(view("Slurm does not answer")))


def test_several_submissions_have_a_bar_each_with_their_own_counts() -> None:
    both = view()
    other = types.SimpleNamespace(token="77ab", manifest={"experiments": {"rocks": 1}, "mode": "lsf"})
    both.cases.append(types.SimpleNamespace(submission=other))
    points = [("3f2a91c0ab12", "done"), ("3f2a91c0ab12", "running"), ("77ab", "failed")]
    both.points = lambda: (PointView(token, 0, "", "", state, "", "", None) for token, state in points)
    assert [line.split()[-4:] for line in text(_following.drawn(both)).splitlines()[:2]] == [
        ["1", "done", "1", "running"],
        ["of", "1", "1", "failed"],
    ]


def test_elsewhere_the_counts_are_a_line_when_they_changed_and_not_too_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(_following.time, "monotonic", lambda: now[0])
    lines = _following.Lines()
    for now[0], done in ((0, 1), (5, 2), (31, 2), (40, 3), (62, 3), (95, 3), (96, 4)):
        lines.show(view(counts={**COUNTS, "done": done}), done == 4)
    shown = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["1", "2", "3", "4"]


def test_a_line_per_unfinished_submission_and_none_for_the_others() -> None:
    (line,) = lines_of(view())
    assert line.startswith("3f2a91c0ab12  waves  slurm as job 12, ")
    assert line.endswith("2 tasks: 1 \x1b[36mrunning\x1b[0m, 1 \x1b[31mfailed\x1b[0m")
    assert lines_of(view(finished=True)) == []


def test_counts_in_a_line() -> None:
    assert count_line(COUNTS, None) == "3 done, 1 running, 1 failed of 5 points"
    assert count_line(Counter(), None) == "nothing of 0 points"


def test_the_table_that_is_drawn_in_place_has_room_for_some_tasks() -> None:
    rows = [{"experiment": "waves", "points": 5, "done": 3}]
    drawn = text(status.drawn(rows, view(n_tasks=30), tasks=True))
    assert "... and 10 more tasks" in drawn and "12_19" in drawn and "12_20" not in drawn
    assert "12_0" not in text(status.drawn(rows, view(n_tasks=30), tasks=False))


def test_on_a_terminal_there_are_bars(away: TinyStudy, lsf: Cluster) -> None:
    (away.folder / "go").touch()
    away.run("train", "-exp=waves", "-mode=lsf")
    for words in (["status", "-exp=waves", "--live", "--tasks"], ["wait"]):
        terminal, inside = os.openpty()
        environment = {**away.environment(), "COLUMNS": "100", "TERM": "xterm-256color"}
        with subprocess.Popen(away.command(*words), cwd=away.folder, env=environment, stdout=inside) as process:
            os.close(inside)
            shown = read_all(terminal)
        assert process.returncode == 0, shown
        assert "━━━━" in shown and "4 done" in shown if words == ["wait"] else "waves" in shown


def read_all(terminal: int) -> str:
    pieces = []
    with open(terminal, "rb", buffering=0) as file:
        while True:
            try:
                piece = file.read(4096)
            except OSError:  # the other side is gone
                return b"".join(pieces).decode()
            if not piece:
                return b"".join(pieces).decode()
            pieces.append(piece)


def test_near_is_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gridrun.commands._submissions import near

    monkeypatch.chdir(tmp_path)
    assert (near(tmp_path / "a" / "b.log"), near(Path("/x/b.log"))) == ("a/b.log", "/x/b.log")
