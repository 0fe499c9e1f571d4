"""What every test shares: a store of its own, and markers that skip with a reason."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import tiny_study

if "PYTEST_XDIST_WORKER" in os.environ:  # several workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--long", action="store_true", help="run the tests marked long too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {"data": why_no_data, "slurm": why_no_slurm, "gpu": why_no_gpu}
    if not (config.getoption("--slow") or "slow" in config.getoption("-m")):
        reasons["slow"] = lambda: "takes minutes: run with --slow"
    if not (config.getoption("--long") or "long" in config.getoption("-m")):
        reasons["long"] = lambda: "one of those that take a quarter of an hour together: run with --long"
    for item in items:
        for marker, why in reasons.items():
            found = item.get_closest_marker(marker)
            if found and (reason := why(*found.args)):
                item.add_marker(pytest.mark.skip(reason=reason))


def why_no_data(*needed: str) -> str:
    """Why a test marked data("mitdb/100.dat") cannot run here; empty when it can."""
    folder = os.environ.get("GRIDRUN_DATA", "")
    if not folder:
        return "needs data sets: set GRIDRUN_DATA to their folder"
    if not Path(folder).is_dir():
        return f"GRIDRUN_DATA={folder} is not a folder"
    absent = [name for name in needed if not (Path(folder) / name).exists()]
    return f"needs {', '.join(absent)} in GRIDRUN_DATA={folder}" if absent else ""


@cache
def why_no_slurm() -> str:
    """Jobs are sent to the test cluster alone, never to one that people wait for."""
    if not shutil.which("sbatch"):
        return "needs Slurm: no sbatch on PATH; `make test-slurm` starts one"
    conf = os.environ.get("SLURM_CONF", "")
    if not Path(conf).is_file() or "ClusterName=gridrun" not in Path(conf).read_text().splitlines():
        return "needs the test cluster: `make test-slurm` starts it"
    answer = subprocess.run(["sinfo"], capture_output=True, text=True, timeout=30, check=False)
    return "" if answer.returncode == 0 else f"Slurm does not answer: {answer.stderr.strip()}"


@cache
def why_no_gpu() -> str:
    if importlib.util.find_spec("torch") is None:
        return "needs torch"
    import torch

    return "" if torch.cuda.is_available() else "needs a CUDA device"


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that run() stores into during this test, instead of the repository's sessions/."""
    folder = tmp_path / "sessions"
    monkeypatch.setenv("GRIDRUN_SESSIONS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def no_study_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that a test loads chooses the study of its process: for that test alone."""
    monkeypatch.setattr("gridrun.study._chosen", [])


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tiny_study.TinyStudy:
    """A study of two small experiments, with its own sessions/ where a user's would be."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    return tiny_study.make(tmp_path / "study")
