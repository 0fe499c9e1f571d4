"""A tiny study whose points are computed by a fake cluster, and ways to follow it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from fakes.cluster import WAIT_S, Cluster
from tiny_study import Done, TinyStudy

from gridrun import store
from gridrun.dispatch.follow import Follower, View
from gridrun.dispatch.submission import Submission, submissions

# A measurement that tells when it begins, waits for a file `go` if its level says so, and tells when it has ended.
PAGE = """
import os, time
from pathlib import Path
from gridrun import cachable, run, split

STUDY = Path(__file__).parents[1]


def tell(what, point):
    with open(STUDY / f"{what}.txt", "a") as file:
        file.write(f"{point['level']} {point['seed']}\\n")


@cachable(dependencies=["point:level", "point:seed"])
def NAME_measure(point):
    tell("begun", point)
    while point["level"] == "waits" and not (STUDY / "go").exists():
        time.sleep(0.05)
    if point["level"] == "deadly":
        os.kill(os.getpid(), 9)
    if point["level"] == "greedy":
        ballast = b"x" * 200_000_000
        time.sleep(1)
    tell("calls", point)
    return {"accuracy": point["seed"] / 7}


def train_grid():
    grid = [{"train": NAME_measure, "level": "LEVEL"}]
    return split(grid, "seed", list(range(N_POINTS)))


def visualize():
    grid = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    (STUDY / "figure.txt").write_text(repr([point["accuracy"] for point in grid]))
"""


@dataclass
class Away:
    """The study, its cluster, the mode that sends to it, and what followers said."""

    study: TinyStudy
    cluster: Cluster
    mode: str
    said: list[str] = field(default_factory=list)

    def write(self, n_points: int = 4, level: str = "plain") -> None:
        """The experiment `waves`, of so many points."""
        self.study.write("waves", PAGE.replace("N_POINTS", str(n_points)).replace("LEVEL", level))

    def profile(self, *lines: str) -> None:
        """The mode's profile, with these lines besides."""
        path = self.study.folder / "launch" / f"{self.mode}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([f'executor = "{self.mode}"', *lines, ""]))

    def train(self, *words: str) -> Done:
        """`train.py` with the cluster's mode."""
        return self.study.run("train.py", "-exp=waves", f"-mode={self.mode}", *words)

    def send(self, *words: str) -> None:
        done = self.train(*words)
        assert done.status == 0, done

    def go(self) -> None:
        """Let the points that wait end."""
        (self.study.folder / "go").touch()

    def lines(self, name: str) -> list[str]:
        path = self.study.folder / f"{name}.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def sessions(self) -> Path:
        return self.study.folder / "sessions"

    def submissions(self) -> list[Submission]:
        return submissions(self.sessions)

    def follower(self, speed: float = 20.0) -> Follower:
        """A follower of all that is unfinished, as in a new process; its clock runs `speed` times as fast."""
        store._OPEN.clear()
        open_ones = [each for each in self.submissions() if not each.is_closed]
        return Follower(open_ones, say=self.said.append, clock=lambda: speed * time.monotonic())

    def follow(self, speed: float = 20.0, follower: Follower | None = None) -> View:
        """Follow, and do what is to be done, until nothing is left to do."""
        follower = follower or self.follower(speed)
        deadline = time.monotonic() + 2 * WAIT_S
        while not (view := follower.look()).finished:
            assert time.monotonic() < deadline, (view.counts, view.problem, self.said)
            time.sleep(0.1)
        return view

    def events(self, word: str) -> list[dict]:
        """What was noted under this word, of all submissions."""
        return [event for each in self.submissions() for event in each.events() if event["event"] == word]
