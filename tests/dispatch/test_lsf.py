"""LSF as a scheduler: its scripts, its listings in both dialects, and what is made of a silence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fakes.cluster import Cluster, until
from hypothesis import given
from hypothesis import strategies as st

from gridrun import UsageError
from gridrun.dispatch import lsf_states
from gridrun.dispatch.base import Array, JobState, SchedulerDown, SubmissionFailed
from gridrun.dispatch.lsf import Lsf
from gridrun.dispatch.settings import Settings

IBM = """202|1|DONE|0|-|-
202|2|EXIT|137|TERM_MEMLIMIT: job killed after reaching LSF memory usage limit|-
202|3|EXIT|140|TERM_RUNLIMIT: job killed after reaching LSF run time limit|-
202|4|EXIT|130|TERM_OWNER: job killed by owner|-
202|5|EXIT|1|-|-
202|6|RUN|-|-|-
202|7|USUSP|-|-|-
202|8|UNKWN|-|-|-
202|9|PEND|-|-|Job's requirements for resources not satisfied: 3 hosts;
203[1]|1|PSUSP|-|-|-
"""

OPENLAVA = """JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME
202     ada     DONE  normal     login       node3       arr[1]     Nov 21 10:31
202     ada     EXIT  normal     login       node3       arr[2]     Nov 21 10:31
202     ada     RUN   normal     login       4*node7     arr[12]    Nov 21 10:31
202[4]  ada     SSUSP normal     login       node7       arr[4]     Nov 21 10:31
202     ada     PEND  normal     login                   arr[5]     Nov 21 10:31
203     ada     ZOMBI normal     login       node7       single     Nov  1 10:31
"""

BHIST = """
Job <202[1]>, Job Name <gridrun-0a1b2c3d4e5f-1[1]>, User <ada>, Project <defau
                     lt>
Fri Nov 20 10:00:00: Submitted from host <login>, to Queue <normal>, CWD <$HOME>;
Fri Nov 20 10:00:01: Starting (Pid 77);
Fri Nov 20 10:00:09: Done successfully. The CPU time used is 0.1 seconds;
------------------------------------------------------------------------------

Job <202[2]>, Job Name <gridrun-0a1b2c3d4e5f-1[2]>, User <ada>
Fri Nov 20 10:00:01: Starting (Pid 78);
Fri Nov 20 20:18:32: Exited by signal 2. The CPU time used is 0.1 seconds;
Fri Nov 20 20:18:32: Completed <exit>; TERM_RUN
                     LIMIT: job killed after reaching LSF run time limit;
------------------------------------------------------------------------------

Job <202[3]>, Job Name <gridrun-0a1b2c3d4e5f-1[3]>, User <ada>
Fri Nov 20 10:00:01: Starting (Pid 79);
Fri Nov 20 10:00:32: Exited with exit code 3. The CPU time used is 0.1 seconds;
Fri Nov 20 10:00:33: Pending: Job has been requeued;
------------------------------------------------------------------------------

Job <202[4]>, Job Name <gridrun-0a1b2c3d4e5f-1[4]>, User <ada>
Fri Nov 20 10:00:01: Starting (Pid 80);
Fri Nov 20 10:00:32: Terminated:  MEMLIMIT was reached;
Fri Nov 20 10:00:33: Exited by LSF signal 9. The CPU time used is 0.1 seconds;
------------------------------------------------------------------------------

Job <202[5]>, Job Name <gridrun-0a1b2c3d4e5f-1[5]>, User <ada>
Fri Nov 20 10:00:01: Starting (Pid 81);
Fri Nov 20 10:00:32: Signal <KILL> requested by user or administrator <ada>;
Fri Nov 20 10:00:33: Exited with
                     exit code 1
                     30. The CPU time used is 0.1 seconds;
------------------------------------------------------------------------------

Job <202[6]>, Job Name <gridrun-0a1b2c3d4e5f-1[6]>, User <ada>
Fri Nov 20 10:00:01: Starting (Pid 82);
Fri Nov 20 10:00:33: Exited; job will be requeued and rerun;
"""


def array_of(folder: Path, n_tasks: int = 3, **more: object) -> Array:
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    given = {"settings": Settings(), "setup": (), "python": "python3", "parallel": None, "environment": {}, **more}
    return Array("gridrun-0a1b2c3d4e5f-1", folder, n_tasks, **given)  # type: ignore[arg-type]


@pytest.fixture(params=["ibm", "openlava", "openlava4"])
def dialect(request: pytest.FixtureRequest, lsf: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of bjobs, and a process that does not know yet which it will meet."""
    lsf.switch(dialect=request.param, terminate_s=0.1)
    monkeypatch.setattr("gridrun.dispatch.lsf.dialect.is_openlava", False)
    return str(request.param)


def test_a_script_asks_for_what_the_settings_say() -> None:
    settings = Settings(
        mem_gb=1.5,
        timeout_min=90,
        cpus_per_task=4,
        gpus_per_node=1,
        partition="long",
        account="vision",
        constraint="model==X",
        extra={"-app": "deep nets", "x": True},
    )
    folder = Path("/runs/1")
    environment = {"GRIDRUN_NOTE": "it's 100 %"}
    array = Array("gridrun-0a1b2c3d4e5f-1", folder, 50, settings, ("module load x",), "python3", 8, environment)
    assert Lsf(mem_unit="MB").render(array).splitlines() == [
        "#!/bin/bash",
        '#BSUB -J "gridrun-0a1b2c3d4e5f-1[1-50]%8"',
        "#BSUB -n 4",
        "#BSUB -W 90",
        "#BSUB -M 1536",
        '#BSUB -R "select[model==X] rusage[mem=1536] span[hosts=1]"',
        "#BSUB -gpu num=1",
        "#BSUB -q long",
        "#BSUB -P vision",
        '#BSUB -app "deep nets"',
        "#BSUB -x",
        "#BSUB -r",
        "#BSUB -o /dev/null",
        "",
        'exec < /dev/null >> /runs/1/logs/"${LSB_JOBID}_$((LSB_JOBINDEX - 1)).log" 2>&1',
        "export SUBMITIT_EXECUTOR=lsf",
        "trap '' USR2",
        """export GRIDRUN_NOTE='it'"'"'s 100 %'""",
        "module load x",
        "exec python3 -u -m gridrun.dispatch.start /runs/1",
    ]


@pytest.mark.parametrize(
    "unit, limit, reserved", [("KB", 1572864, 1536), ("MB", 1536, 1536), ("GB", 2, 2), ("TB", 1, 1)]
)
def test_memory_in_the_unit_of_the_site(tmp_path: Path, unit: str, limit: int, reserved: int) -> None:
    script = Lsf(mem_unit=unit).render(array_of(tmp_path, settings=Settings(mem_gb=1.5)))
    assert f"#BSUB -M {limit}\n" in script and f'#BSUB -R "rusage[mem={reserved}] span[hosts=1]"\n' in script
    assert "-gpu" not in script and "-q" not in script


def test_what_lsf_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="qos"):
        Lsf().render(array_of(tmp_path, settings=Settings(qos="high")))
    with pytest.raises(UsageError, match="did you mean 'MB'"):
        Lsf(mem_unit="MiB").render(array_of(tmp_path))
    with pytest.raises(UsageError, match="not 'my job'"):
        Lsf().render(array_of(tmp_path)._replace(name="my job"))
    both = Settings(constraint="model==X", extra={"-R": "select[mem>4000]"})
    with pytest.raises(UsageError, match="say both in -R"):
        Lsf().render(array_of(tmp_path, settings=both))
    with pytest.raises(UsageError, match="quotes"):
        Lsf().render(array_of(tmp_path, settings=Settings(extra={"-w": "'a' \"b\""})))


@pytest.mark.parametrize("name", ["plain", "with space", "quote'\"s", "naïve ☂", "50%", "$HOME `x`;&"])
def test_tasks_find_their_folder_and_log_whatever_its_name(
    lsf: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The script runs for real: the folder arrives as it is, and both streams are in the log while the task runs."""
    witness = tmp_path / "witness"
    witness.write_text('#!/bin/sh\necho out "$1 $2 $3 $4"; echo err "$NOTE" >&2; sleep 100\n')
    witness.chmod(0o755)
    folder = tmp_path / name / "1"
    backend = Lsf()
    array = array_of(folder, 2, python=str(witness), environment={"NOTE": name})
    id = backend.submit(array, backend.render(array))
    log = backend.log(folder, id, 1)
    until(lambda: log.exists() and log.read_text().count("\n") == 2)
    assert log.read_text() == f"out -u -m gridrun.dispatch.start {folder}\nerr {name}\n"


def test_ibm_words() -> None:
    found = {line.task_id: line.state for line in lsf_states.ibm(f"Welcome!\n{IBM}202|10|DO")}
    assert found["202[1]"] == JobState("ended", "completed", "DONE", 0)
    assert found["202[2]"] == JobState("ended", "memory", "EXIT TERM_MEMLIMIT", 137)
    assert [found[f"202[{n}]"].cause for n in (3, 4, 5)] == ["time", "cancelled", "failed"]
    assert [found[f"202[{n}]"].phase for n in (6, 7, 8)] == ["running", "alive", "alive"]
    assert found["202[9]"].reason == "Job's requirements for resources not satisfied: 3 hosts"
    assert found["203[1]"].phase == "pending"
    assert len(found) == 10


def test_openlava_words() -> None:
    lines = lsf_states.openlava(OPENLAVA)
    phases = {line.task_id: line.state.phase for line in lines}
    expected = {"202[1]": "ended", "202[2]": "ended", "202[12]": "running", "202[4]": "alive", "202[5]": "pending"}
    assert phases == {**expected, "203": "alive"}
    assert [line.name for line in lines] == ["arr"] * 5 + ["single"]
    assert lines[1].state == JobState("ended", "failed", "EXIT", None)


def test_history_words() -> None:
    found = {line.task_id: line.state for line in lsf_states.bhist(BHIST)}
    assert found == {
        "202[1]": JobState("ended", "completed", "DONE", 0),
        "202[2]": JobState("ended", "time", "EXIT TERM_RUNLIMIT", 130),
        "202[4]": JobState("ended", "memory", "EXIT TERM_MEMLIMIT", 137),
        "202[5]": JobState("ended", "cancelled", "EXIT TERM_OWNER", 130),
    }  # and the third one and the last go on


READERS = (lsf_states.ibm, lsf_states.openlava, lsf_states.bhist)
PIECES = ["202", "[3]", "|", "RUN", "PEND", " ", "\n", "-", "ada", "Nov 21 10:31", "arr[1]", "٣", "Job <1>", "[", "]"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_garbage_never_ends_a_task(text: str) -> None:
    if not any(word in text for word in ("DONE", "EXIT", "Done", "Exited", "Completed")):
        for read in READERS:
            assert all(line.state.phase != "ended" for line in read(text))
    lsf_states.named(text)
    lsf_states.bhist_ids(text)


@given(st.sampled_from([IBM, OPENLAVA]), st.integers(0, 1000), st.text(max_size=5))
def test_a_listing_that_is_cut_says_nothing_new(text: str, at: int, junk: str) -> None:
    """Each reader finds in a damaged listing only what it finds in the whole one, but for the damaged line."""
    for read in READERS:
        whole = {line.task_id: line.state for line in read(text)}
        for line in read(text[:at]):
            assert line.task_id in whole or line.state.phase != "ended"
        read(text[:at] + junk + text[at:])


def test_states_of_real_tasks(lsf: Cluster, dialect: str, tmp_path: Path) -> None:
    backend = Lsf()
    lsf.switch(banner="yes", slots=3)
    ids = [
        backend.submit(array_of(tmp_path / str(n), n), f'#!/bin/bash\n#BSUB -J "gridrun-a-{n}[1-{n}]"\n{command}\n')
        for n, command in ((2, "exit $((LSB_JOBINDEX - 1))"), (1, "sleep 100"), (3, "sleep 100"))
    ]
    lsf.wait(lambda each: [task["phase"] for task in each.tasks()].count("running") == 3)
    found = backend.poll(ids)
    assert found[f"{ids[0]}[1]"] == JobState("ended", "completed", "DONE", 0)
    assert found[f"{ids[0]}[2]"] == JobState("ended", "failed", "EXIT", 1)
    assert found[f"{ids[1]}[1]"].phase == "running"
    assert found[backend.task_id(ids[2], 2)].phase == "pending"
    assert len(found) == 6
    assert backend.poll([]) == {}
    backend.cancel([f"{ids[2]}[3]", f"{ids[2]}[1]", "9", "10[1]"])
    lsf.wait(lambda each: [task["cause"] for task in each.tasks()[-3:]] == ["cancelled", "", "cancelled"])
    backend.cancel([ids[1]])
    lsf.wait(lambda each: each.tasks()[2]["phase"] == "ended")
    assert backend.poll([ids[1]])[f"{ids[1]}[1]"].phase == "ended"
    assert backend.poll([ids[1]])[f"{ids[1]}[1]"].cause == "cancelled"


def test_arrays_are_found_by_their_names(lsf: Cluster, dialect: str) -> None:
    backend = Lsf()
    assert backend.find(["gridrun-a-1"]) == {}
    for name in ("gridrun-a-1[1-2]", "gridrun-a-11[1-2]", "gridrun-a-1[1-2]", "other"):
        subprocess.run(["bsub", "-J", name], input=b"true\n", check=True, capture_output=True)
    assert backend.find(["gridrun-a-1", "gridrun-a-11", "gridrun-a-2"]) == {"gridrun-a-1": "101", "gridrun-a-11": "102"}
    lsf.wait(Cluster.has_ended)
    lsf.switch(forget_s=0)
    assert backend.find(["gridrun-a-11", "gridrun-a-2"]) == {"gridrun-a-11": "102"}
    assert backend.find([]) == {}


def test_what_bjobs_forgot_is_asked_of_bhist_once(lsf: Cluster, dialect: str, tmp_path: Path) -> None:
    backend = Lsf()
    id = backend.submit(array_of(tmp_path / "1"), '#!/bin/bash\n#BSUB -J "a[1-2]"\nexit $((LSB_JOBINDEX - 1))\n')
    lsf.wait(Cluster.has_ended)
    lsf.switch(forget_s=0)
    found = backend.poll([id, "9"])
    assert {task: state.cause for task, state in found.items()} == {f"{id}[1]": "completed", f"{id}[2]": "failed"}
    lsf.switch(missing="bhist")
    assert backend.poll([id, "9"]) == found
    assert Lsf().poll([id, "9"]) == {}  # nobody knows: the tasks' own last words decide


@pytest.mark.parametrize(
    "switches",
    [
        {"down": "fail"},
        {"down": "wait"},
        {"missing": "bsub,bjobs,bkill,bhist"},
        {"slow_s": 30},
    ],
    ids=str,
)
def test_a_silent_lsf_says_nothing_of_its_jobs(lsf: Cluster, dialect: str, tmp_path: Path, switches: dict) -> None:
    backend = Lsf(timeout_s=1)
    array = array_of(tmp_path / "1")
    id = backend.submit(array, "sleep 100\n")
    lsf.switch(**switches)
    for question in (
        lambda: backend.poll([id]),
        lambda: backend.find(["x"]),
        lambda: backend.cancel([id]),
        lambda: backend.submit(array, "sleep 100\n"),
    ):
        with pytest.raises((SchedulerDown, SubmissionFailed) if "missing" in switches else SchedulerDown):
            question()
    assert [task["phase"] for task in lsf.tasks()] == ["running"]


def test_no_lsf_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerDown, match="bjobs cannot be run"):
        Lsf().poll(["1"])
    with pytest.raises(SchedulerDown, match="bsub cannot be run"):
        Lsf().submit(array_of(tmp_path), "true\n")
    assert Lsf().max_array() == 1000


def test_a_listing_that_leaves_a_job_out_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bjobs = tmp_path / "bjobs"
    bjobs.write_text("#!/bin/sh\necho '1|1|RUN|-|-|-'\n")
    bjobs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert set(Lsf().poll(["1"])) == {"1[1]"}
    with pytest.raises(SchedulerDown, match="nothing of 2"):
        Lsf().poll(["1", "2"])


def test_a_refusal_is_told_in_lsf_s_words(lsf: Cluster, dialect: str, tmp_path: Path) -> None:
    lsf.switch(max_array=2)
    backend = Lsf()
    array = array_of(tmp_path / "1", 3)
    with pytest.raises(SubmissionFailed, match="^Job array index too large. Job not submitted.$"):
        backend.submit(array, backend.render(array))
    array = array_of(tmp_path / "2", 1, settings=Settings(partition="nosuch"))
    with pytest.raises(SubmissionFailed, match="^nosuch: No such queue. Job not submitted.$"):
        backend.submit(array, backend.render(array))
    assert lsf.jobs() == []
    assert backend.max_array() == 2


def test_a_site_s_own_variables_do_not_hide_the_number(
    lsf: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BSUB_QUIET", "y")
    assert Lsf().submit(array_of(tmp_path / "1"), "true\n") == "101"
