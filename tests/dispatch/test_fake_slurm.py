"""The fake Slurm does what was seen of the real one, so that what is tested with it means something."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import submitit
from fakes.cluster import Cluster, until


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where logs go that nobody named


def say(*words: str, text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def submit(text: str, *words: str) -> str:
    status, out, err = say("sbatch", "--parsable", *words, text=f"#!/bin/bash\n{text}")
    assert status == 0, err
    return out.strip()


LIST = ("squeue", "--noheader", "--states=all", "--format=%i|%T|%r")
ACCOUNT = ("sacct", "-n", "-P", "-X", "--format=JobID,State,ExitCode")


def test_an_array_is_listed_in_spans_while_it_waits(slurm: Cluster, tmp_path: Path) -> None:
    slurm.switch(hold="yes", slots=3)
    script = f"#SBATCH --array=0-3%2\n#SBATCH --output='{tmp_path}/a b_%A_%a.log'\n"
    id = submit(f"{script}ls {tmp_path}; exit $SLURM_ARRAY_TASK_ID\n")
    assert say(*LIST)[1] == f"{id}_[0,1,2,3%2]|PENDING|Resources\n"
    assert say(*LIST, "--array")[1].splitlines() == [f"{id}_{i}|PENDING|Resources" for i in range(4)]
    assert say("scancel", f"{id}_3")[0] == 0
    slurm.switch(hold="")
    slurm.wait(Cluster.has_ended)
    assert say(*ACCOUNT, f"--jobs={id}")[1].splitlines() == [
        f"{id}_0|COMPLETED|0:0",
        f"{id}_1|FAILED|1:0",
        f"{id}_2|FAILED|2:0",
    ]
    assert say(*LIST, "-r")[1].splitlines()[1] == f"{id}_1|FAILED|NonZeroExitCode"
    assert len(list(tmp_path.glob("a b_*.log"))) == 3
    slurm.switch(forget_s=0)
    assert say(*LIST, f"--jobs={id}") == (1, "", "slurm_load_jobs error: Invalid job id specified\n")


def test_errors_are_those_of_slurm(slurm: Cluster) -> None:
    refused = "sbatch: error: Batch job submission failed:"
    slurm.switch(max_array=5)
    status, _, err = say("sbatch", "--array=0-5", text="#!/bin/sh\n")
    assert (status, err) == (1, f"{refused} Invalid job array specification\n")
    assert "Invalid partition name" in say("sbatch", "-p", "nosuch", text="#!/bin/sh\n")[2]
    assert "MaxArraySize            = 5\n" in say("scontrol", "show", "config")[1]
    slurm.switch(down="fail", down_commands="squeue")
    assert say("squeue")[0] == 1 and "Unable to contact slurm controller" in say("squeue")[2]
    assert say("sacct")[0] == 0


def test_limits_of_time_and_memory(slurm: Cluster, tmp_path: Path) -> None:
    slurm.switch(minute_s=1.0)
    first = submit(
        f"#SBATCH -t 1 --signal=B:USR2@30\ntrap 'date > {tmp_path}/warned' USR2\nwhile :; do sleep 0.05; done"
    )
    second = submit(f"#SBATCH --mem=60M\nexec {sys.executable} -c 'x = bytearray(10**8); input()' < /dev/zero")
    until((tmp_path / "warned").exists)
    slurm.wait(Cluster.has_ended)
    assert say(*ACCOUNT)[1].splitlines() == [f"{first}|TIMEOUT|0:0", f"{second}|OUT_OF_MEMORY|0:125"]


def test_suspend_and_requeue(slurm: Cluster, tmp_path: Path) -> None:
    slurm.switch(terminate_s=0.05)
    id = submit(
        f"#SBATCH --array=0\necho $SLURM_RESTART_COUNT >> {tmp_path}/starts\n[ $SLURM_RESTART_COUNT = 1 ] || sleep 99"
    )
    until((tmp_path / "starts").exists)
    assert say("scontrol", "suspend", f"{id}_0")[0] == 0
    assert say(*LIST)[1] == f"{id}_0|SUSPENDED|None\n"
    assert say("scontrol", "requeue", f"{id}_0")[0] == 0
    slurm.wait(Cluster.has_ended)
    assert (tmp_path / "starts").read_text() == "0\n1\n"
    assert re.search(f"{id}_0.COMPLETED", say(*LIST)[1])


def test_submitit_itself_runs_on_it(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(__file__).parents[up]) for up in (1, 2)))
    executor = submitit.AutoExecutor(tmp_path / "jobs", cluster="slurm")
    executor.update_parameters(timeout_min=5, slurm_array_parallelism=2)
    jobs = executor.map_array(divmod, [7, 8], [2, 3])
    assert [job.result() for job in jobs] == [(3, 1), (2, 2)]
