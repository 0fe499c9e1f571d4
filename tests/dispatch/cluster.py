"""A study on a Slurm cluster, as a user has it; and clusters of one's own, for tests that break them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_study import ROOT, Done

SCRIPTS = ROOT / "launch" / "test_cluster"

PAGE = """
import os, sys, time
from pathlib import Path
from gridrun import cachable, run, split

STUDY = Path(__file__).parents[1]


def tell(what, point):
    line = f"{what} {point['n']} {os.getpid()} {time.time():.2f} {os.environ.get('SLURM_RESTART_COUNT', 0)}\\n"
    with open(STUDY / "calls.txt", "a") as calls:
        calls.write(line)


def wait_for(name, seconds=180):
    end = time.monotonic() + seconds
    while not (STUDY / name).exists() and time.monotonic() < end:
        time.sleep(0.05)


@cachable(dependencies=["point:n"])
def measure(point):
    tell("start", point)
    BODY
    tell("end", point)
    return {"square": point["n"] ** 2}


def train_grid():
    return split([{"train": measure, "n": 0}], "n", list(range(N_POINTS)))


def visualize():
    grid = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    (STUDY / "squares.txt").write_text(str([point["square"] for point in grid]))
"""


@dataclass
class ClusterStudy:
    """A study with the experiment `page`: N points, each told in calls.txt when it starts and when it ends."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()  # before each command: `setpriv ...` to be another user
    python: str = sys.executable

    def page(self, n_points: int, body: str = "", name: str = "page", **settings: Any) -> None:
        """Write an experiment; `body` is what a measurement does, `settings` what its tasks ask for."""
        text = PAGE.replace("BODY", "\n    ".join(body.strip().splitlines() or ["pass"]))
        text = text.replace("N_POINTS", str(n_points)) + f"\nlaunch_settings = {settings!r}\n"
        path = self.folder / "experiments" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def profile(self, mode: str = "slurm", partition: str = "main", mem_gb: float = 0.25, **more: Any) -> None:
        """Write launch/<mode>.toml."""
        (self.folder / "launch").mkdir(exist_ok=True)
        lines = ['executor = "slurm"', *(f"{name} = {value}" for name, value in more.items())]
        lines += ["[settings]", f'partition = "{partition}"', f"mem_gb = {mem_gb}", "timeout_min = 10"]
        (self.folder / "launch" / f"{mode}.toml").write_text("\n".join(lines) + "\n")

    def command(self, *words: str) -> list[str]:
        inner = [*words] if words[0].endswith(".py") else ["-c", "from gridrun.cli import main; main()", *words]
        return [*self.prefix, self.python, *inner]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in the study's folder; it leads a process group of its own."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, timeout: float = 240) -> Done:
        """Run a command to its end."""
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{words} did not end within {timeout} s\n{out}\n{err}") from None
        return Done(process.returncode, out, err)

    def train(self, *words: str, timeout: float = 240) -> Done:
        return self.run("train.py", "-exp=page", "-mode=slurm", *words, timeout=timeout)

    # ---------------------------------------------------------------------------------------------- what became of it
    def calls(self) -> list[tuple[str, int, int, float, int]]:
        """What the measurements told: start or end, the point, the process, when, how often it was restarted."""
        path = self.folder / "calls.txt"
        found = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(w, int(n), int(pid), float(when), int(again)) for w, n, pid, when, again in found]

    def starts(self, point: int | None = None) -> list[int]:
        """The points, as often as they were started."""
        return [n for what, n, *_ in self.calls() if what == "start" and point in (None, n)]

    def ends(self) -> list[int]:
        return [n for what, n, *_ in self.calls() if what == "end"]

    def squares(self) -> list[int]:
        """What the store has of all points; raises if one is missing."""
        done = self.run("make_figures.py", "-exp=page")
        assert done.status == 0, done.err
        return [int(n) for n in re.findall(r"\d+", (self.folder / "squares.txt").read_text())]

    def token(self) -> str:
        """The name of the only submission."""
        (folder,) = (f for f in (self.folder / "sessions" / "jobs").iterdir() if re.fullmatch("[0-9a-f]{12}", f.name))
        return folder.name

    def slurm(self, *words: str) -> str:
        """One of Slurm's own commands."""
        environment = {**os.environ, **self.variables}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=60)
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Every task of this study that squeue lists, and its word; those that ended too."""
        lines = self.slurm("squeue", "-h", "-r", "-t", "all", "-o", "%i %T %j").splitlines()
        names = [folder.name for folder in (self.folder / "sessions" / "jobs").glob("*")]
        told = [line.split() for line in lines]
        return {id: state for id, state, name in told if name.removeprefix("gridrun-").partition("-")[0] in names}

    def release(self, name: str) -> None:
        """Let measurements go on that wait for a file."""
        (self.folder / name).touch()

    def logs(self) -> str:
        """All that tasks printed."""
        paths = (self.folder / "sessions" / "jobs").glob("*/*/logs/*.log")
        return "\n".join(f"== {path}\n{path.read_text()}" for path in sorted(paths))


def make_study(folder: Path, **options: Any) -> ClusterStudy:
    study = ClusterStudy(folder, **options)
    folder.mkdir(parents=True)
    for script in ("train.py", "make_figures.py"):
        shutil.copy(ROOT / script, folder / script)
    study.profile()
    return study


def wait_until(condition: Callable[[], Any], seconds: float = 90, what: str = "") -> Any:
    """What a condition gives as soon as it gives something true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
        time.sleep(0.25)
    return found


# ------------------------------------------------------------------------------------------------------------- clusters
@dataclass
class Cluster:
    """A cluster of one's own."""

    folder: Path
    port: int
    knobs: dict[str, str]

    @property
    def variables(self) -> dict[str, str]:
        """What a command needs to find it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def script(self, name: str, *words: str) -> None:
        own = {"GRIDRUN_SLURM_DIR": str(self.folder), "GRIDRUN_SLURM_PORT": str(self.port), **self.knobs}
        with tempfile.TemporaryFile("w+") as said:  # no pipe: the daemons would keep it open
            done = subprocess.run(
                [SCRIPTS / name, *words], env={**os.environ, **own}, stdout=said, stderr=said, check=False, timeout=300
            )
            said.seek(0)
            assert done.returncode == 0, said.read()

    def break_(self, what: str, name: str) -> None:
        """Kill a node, start it again, freeze a daemon or thaw it: see break.sh."""
        self.script("break.sh", what, name)


@contextlib.contextmanager
def raised(**knobs: int) -> Iterator[Cluster]:
    """A cluster that stands while the block runs; knobs as of launch/test_cluster/settings.sh, in small letters."""
    folder = Path(tempfile.mkdtemp(prefix="gridrun-slurm-", dir="/tmp"))
    words = {f"GRIDRUN_SLURM_{name.upper()}": str(value) for name, value in knobs.items()}
    cluster = Cluster(folder, free_ports(20), {**words, "GRIDRUN_SLURM_INSTALL": "0"})
    try:
        cluster.script("up.sh")
        yield cluster
    finally:
        cluster.script("down.sh", "--purge")


def free_ports(n: int) -> int:
    """The first of n free ports in a row, below those that the system deals out; each process looks elsewhere."""
    for attempt in range(200):
        first = 20_000 + (os.getpid() * 7 + attempt) % 300 * 40
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + n):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
    raise AssertionError("no free ports")
