"""The fake LSF does what is known of the real one, so that what is tested with it means something."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from fakes.cluster import Cluster, until


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def say(*words: str, text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def submit(text: str, *words: str) -> str:
    status, out, err = say("bsub", *words, text=text)
    found = re.search(r"^Job <(\d+)> is submitted to (?:default )?queue <\w+>\.$", out, re.MULTILINE)
    assert status == 0 and found, err
    return found[1]


@pytest.fixture(params=["ibm", "openlava"])
def dialect(request: pytest.FixtureRequest, lsf: Cluster) -> str:
    lsf.switch(dialect=request.param)
    return str(request.param)


def test_an_array_runs_with_at_most_so_many_tasks_at_once(lsf: Cluster, dialect: str, tmp_path: Path) -> None:
    lsf.switch(banner="yes")
    script = (
        f'#!/bin/bash\n#BSUB -J "arr[1-6]%2"\n#BSUB -o {tmp_path}/%J.%I\ntouch {tmp_path}/on.$LSB_JOBINDEX; sleep 0.2\n'
    )
    script += f"ls {tmp_path} | grep -c on. ; rm {tmp_path}/on.$LSB_JOBINDEX\n"
    id = submit(script)
    lsf.wait(Cluster.has_ended)
    outputs = [(tmp_path / f"{id}.{index}").read_text().splitlines()[0] for index in range(1, 7)]
    assert set(outputs) <= {"1", "2"}
    status, out, _ = say("bjobs", "-w", "-a", id)
    assert status == 0
    assert sorted(re.findall(r"DONE .* arr\[(\d)\]", out)) == list("123456")


def test_ibm_prints_columns_and_openlava_its_usage(lsf: Cluster, dialect: str) -> None:
    id = submit("exit 3\n", "-J", "x[1-1]")
    lsf.wait(Cluster.has_ended)
    status, out, err = say("bjobs", "-a", "-o", "jobid jobindex stat exit_code delimiter='|'", "-noheader", id)
    if dialect == "ibm":
        assert (status, out) == (0, f"{id}|1|EXIT|3\n")
    else:
        assert status == 255 and not out and "Usage: bjobs" in err


def test_errors_are_those_of_lsf(lsf: Cluster) -> None:
    assert say("bjobs", "9") == (255, "", "Job <9> is not found\n")
    assert say("bsub", "-q", "nosuch", text="true") == (255, "", "nosuch: No such queue. Job not submitted.\n")
    lsf.switch(max_array=5)
    too_large = (255, "", "Job array index too large. Job not submitted.\n")
    assert say("bsub", "-J", "a[1-6]", text="true") == too_large
    lsf.switch(down="fail")
    assert say("bjobs") == (255, "", "LSF is down. Please wait ...\n")


def test_the_time_limit_sends_usr2_and_kills_later(lsf: Cluster, tmp_path: Path) -> None:
    lsf.switch(minute_s=0.3, terminate_s=0.05)
    script = f"#!/bin/bash\n#BSUB -W 1\ntrap 'echo signal >> {tmp_path}/seen' USR2\nwhile :; do sleep 0.05; done\n"
    id = submit(script)
    until((tmp_path / "seen").exists)
    assert lsf.tasks()[0]["phase"] == "running"
    lsf.wait(Cluster.has_ended)
    _, out, _ = say("bjobs", "-a", "-o", "stat exit_reason", "-noheader", id)
    assert out.startswith("EXIT TERM_RUNLIMIT")


def test_too_much_memory_is_killed(lsf: Cluster) -> None:
    import sys

    id = submit(f"#!/bin/bash\n#BSUB -M 60000\nexec {sys.executable} -c 'x = bytearray(10**8); input()' < /dev/zero\n")
    lsf.wait(Cluster.has_ended)
    _, out, _ = say("bjobs", "-a", "-o", "stat exit_code exit_reason", "-noheader", id)
    assert out.startswith("EXIT 137 TERM_MEMLIMIT")


def test_stop_resume_kill_and_forget(lsf: Cluster) -> None:
    lsf.switch(slots=1)
    id = submit("sleep 100\n", "-J", "x[1-2]")
    lsf.wait(lambda each: each.tasks()[0]["phase"] == "running")
    assert say("bstop", f"{id}[1]")[0] == 0
    assert re.search(r"USUSP .*x\[1\]", say("bjobs", "-w", id)[1])
    assert say("bresume", f"{id}[1]")[0] == 0
    assert say("bkill", id)[0] == 0
    lsf.wait(Cluster.has_ended)
    assert [task["cause"] for task in lsf.tasks()] == ["cancelled", "cancelled"]
    lsf.switch(forget_s=0)
    assert say("bjobs", "-a", id) == (255, "", f"Job <{id}> is not found\n")
    assert "Exited by signal" in re.sub(r"\n +", "", say("bhist", "-l", id)[1])


def test_a_requeued_task_starts_again(lsf: Cluster, tmp_path: Path) -> None:
    lsf.switch(terminate_s=0.05)
    id = submit(f"echo start >> {tmp_path}/starts\nif [ $(wc -l < {tmp_path}/starts) = 1 ]; then sleep 100; fi\n")
    until((tmp_path / "starts").exists)
    assert say("brequeue", id)[0] == 0
    lsf.wait(Cluster.has_ended)
    assert (tmp_path / "starts").read_text() == "start\nstart\n"
    assert say("bjobs", "-a", "-o", "stat", "-noheader", id)[1] == "DONE\n"
