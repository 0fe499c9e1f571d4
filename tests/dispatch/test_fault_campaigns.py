"""A fault campaign on a cluster gives the file that it gives here, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.cluster import Cluster
from fakes.fixtures import lsf as lsf
from fakes.fixtures import slurm as slurm
from fakes.fixtures import tools as tools
from fault_points import by_the_naive_loop, faults, network
from tiny_study import ROOT, TinyStudy

from gridrun import ensure, explain, run
from gridrun.faults.fault_list import to_text
from gridrun.tasks.campaign import ARGUMENTS, fault_counts
from gridrun.tasks.stored_blocks import planned, totals

PROFILE = 'executor = "{}"\n[settings]\nchunk = 3\nmem_gb = 1\n'
CAMPAIGN = ("faults", "campaign", "-n", "ResNet20", "--images", "40", "--rows", "0:40", "-o")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with a profile for each scheduler, as the current folder."""
    for mode in ("slurm", "lsf"):
        path = tmp_path / "study" / "launch" / f"{mode}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROFILE.format(mode))
    (tmp_path / "study" / "experiments").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "study"


@pytest.mark.parametrize("mode", ["slurm", "lsf"])
def test_blocks_computed_by_tasks_give_the_naive_loops_file(
    mode: str, here: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cluster: Cluster = request.getfixturevalue(mode)
    assert_file_of_tasks_is_the_naive_loops(mode, tmp_path)
    assert len(cluster.tasks()) == 2  # of three blocks each


@pytest.mark.slurm
def test_on_a_real_slurm(here: Path, tmp_path: Path) -> None:
    assert_file_of_tasks_is_the_naive_loops("slurm", tmp_path)


def assert_file_of_tasks_is_the_naive_loops(mode: str, folder: Path) -> None:
    point = network(folder / "network")
    listed = faults(point, 24)
    grid = planned(point, listed, 50, block=8, chunk=25)
    states = ensure(grid, fault_counts, mode=mode)(*ARGUMENTS)
    assert [state.state for state in states] == ["done"] * 6
    found = totals(grid, run(grid, fault_counts, run_mode="load")(*ARGUMENTS), listed)
    assert to_text(listed, found) == to_text(listed, by_the_naive_loop(point, listed, 50))
    more = planned(point, listed, 60, block=8, chunk=25)
    assert [state.state for state in explain(more, fault_counts)(*ARGUMENTS)] == ["cached"] * 6 + ["missing"] * 3


@pytest.mark.long
@pytest.mark.data
def test_the_command_gives_the_same_file_there_and_here(
    here: Path, slurm: Cluster, sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = TinyStudy(here)
    listed = str(Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv")
    for output, options in (("there.csv", ["-mode", "slurm"]), ("here.csv", [])):
        monkeypatch.setenv("GRIDRUN_SESSIONS", str(sessions / output))
        done = study.run(*CAMPAIGN, output, "--fault-list", listed, *options)
        assert done.status == 0, done.err
    assert (here / "there.csv").read_bytes() == (here / "here.csv").read_bytes()
    assert len(slurm.tasks()) == 1
