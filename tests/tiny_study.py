"""A study of two small experiments in a folder of its own, and its commands as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

PAGE = """
from pathlib import Path
from gridrun import cachable, run, split

STUDY = Path(__file__).parents[1]


@cachable(dependencies=["point:level", "point:seed"])
def NAME_measure(point):
    with open(STUDY / "calls.txt", "a") as calls:
        calls.write(f"NAME level={point['level']} seed={point['seed']}\\n")
    if point["level"] == "bad":
        raise ValueError("no measurement at a bad level")
    return {"accuracy": 1 - point["level"] * (1 + point["seed"])}


def train_grid():
    grid = [{"train": NAME_measure, "level": 0.1, "seed": 0}]
    return split(split(grid, "level", [0.1, 0.2]), "seed", [0, 1])


def visualize():
    grid = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    (STUDY / "figures").mkdir(exist_ok=True)
    (STUDY / "figures" / "NAME.txt").write_text(str([point["accuracy"] for point in grid]))
"""


@dataclass(frozen=True)
class Done:
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class TinyStudy:
    """A study's folder, with the experiments `waves` and `rocks`."""

    folder: Path

    def write(self, name: str, page: str = PAGE) -> Path:
        path = self.folder / "experiments" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.replace("NAME", name))
        return path

    def command(self, *words: str) -> list[str]:
        """`train.py ...` and `make_figures.py ...` as scripts, all else as `gridrun ...`."""
        if words[0].endswith(".py"):
            return [sys.executable, *words]
        return [sys.executable, "-c", "from gridrun.cli import main; main()", *words]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(self, *words: str, within: str = ".") -> Done:
        """Run a command in the study's folder, or in one below it."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder / within,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def files(self) -> dict[str, bytes]:
        """Every file of the study, with what is in it."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()
        }

    def submission(self) -> Path:
        """The folder of the newest submission."""
        return max(self.folder.glob("sessions/jobs/*/manifest.json"), key=lambda path: path.stat().st_mtime_ns).parent

    def calls(self) -> list[str]:
        """One line per execution of a measurement."""
        path = self.folder / "calls.txt"
        return path.read_text().splitlines() if path.exists() else []


def make(folder: Path) -> TinyStudy:
    study = TinyStudy(folder)
    for script in ("train.py", "make_figures.py"):
        folder.mkdir(exist_ok=True)
        (folder / script).write_text((ROOT / script).read_text())
    study.write("waves")
    study.write("rocks")
    return study
