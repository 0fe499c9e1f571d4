"""Progress: plain lines now and then, a bar on a terminal, nothing in tests or when it is quick."""

from __future__ import annotations

import os
import pty
import re
import time
from pathlib import Path

import programs
import pytest

from gridrun import progress
from gridrun.progress import Progress, duration

SLOW = """
    import sys, time
    from gridrun import progress, run, split
    progress.PATIENCE_S, progress.LINE_EVERY_S = 0.05, 0.1
    def f(x):
        time.sleep(0.05)
        if x == 7:
            raise ValueError
    run(split([{}], "a", range(12)), f, on_error="store", progress={"yes": True, "no": False}.get(sys.argv[1]))("{a}")
    """


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_line_has_counts_and_the_time_that_is_left(clock: list[float]) -> None:
    bar = Progress("train", 100, 40, False)
    assert bar.line() == "train: 40 of 100 (40 cached)"
    clock[0] = 30.0
    bar.update(done=20)
    bar.update(failed=10, running=3)
    # 30 of 60 took 30 s, so the other 30 take as long
    assert bar.line() == "train: 70 of 100 (40 cached, 10 failed, 3 running, about 30 s left)"
    bar.update(cached=5, waiting="waiting for 2 computed by process 7 on here")
    assert bar.line() == (
        "train: 75 of 100 (45 cached, 10 failed, waiting for 2 computed by process 7 on here, about 25 s left)"
    )


def test_lines_come_rarely_and_only_after_a_while(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    bar = Progress("f", 1000, 0, True)
    for second in range(200):
        clock[0] = float(second)
        bar.update(done=1)
    printed = capfd.readouterr().err.splitlines()
    assert len(printed) == 199 // (progress.LINE_EVERY_S + 1)
    assert printed[0].startswith("f: 32 of 1000")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599.6, "1 h 0 min"), (86400, "24 h 0 min")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    script = programs.write(tmp_path / "slow.py", SLOW)
    environment = {k: v for k, v in programs.environment().items() if k != "PYTEST_CURRENT_TEST"}
    for word, expected in (("yes", True), ("no", False), ("default", True)):
        done = programs.subprocess.run(
            [programs.sys.executable, str(script), word], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        assert bool(re.search(r"^f: \d+ of 12 \(0 cached", done.stderr)) == expected
        assert "\x1b" not in done.stderr


def test_on_a_terminal_there_is_a_bar_that_is_gone_at_the_end(tmp_path: Path) -> None:
    script = programs.write(tmp_path / "slow.py", SLOW)
    environment = {k: v for k, v in programs.environment(TERM="xterm").items() if k != "PYTEST_CURRENT_TEST"}
    ours, theirs = pty.openpty()
    program = programs.subprocess.Popen(
        [programs.sys.executable, str(script), "default"], env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    assert program.wait(timeout=30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "/12" in text and "1 failed" in text and "━" in text
