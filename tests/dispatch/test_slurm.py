"""Slurm's scripts and words: rendering, the parsers on what Slurm 22.05 was seen to print, and on noise."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridrun.dispatch import slurm_states
from gridrun.dispatch.base import CAUSES, PHASES, Array, JobState, SchedulerDown, SubmissionFailed
from gridrun.dispatch.settings import Settings
from gridrun.dispatch.slurm import Slurm
from gridrun.errors import UsageError


def an_array(folder: Path, **changes: object) -> Array:
    array = Array("gridrun-0123456789ab-0", folder, 3, Settings(), (), "/usr/bin/python3", 2, {})
    return array._replace(**changes)


def flags(script: str) -> dict[str, str]:
    """What sbatch reads of a script: its #SBATCH lines, quotes taken away as it does."""
    words = [shlex.split(line)[1] for line in script.splitlines() if line.startswith("#SBATCH ")]
    return {name: value for name, _, value in (word.removeprefix("--").partition("=") for word in words)}


# ---------------------------------------------------------------------------------------------------------- rendering
def test_a_script_asks_for_what_the_settings_say(tmp_path):
    settings = Settings(
        mem_gb=1.5,
        timeout_min=10,
        cpus_per_task=4,
        gpus_per_node=2,
        partition="long",
        account="lab",
        qos="high",
        constraint="a100|h100",
        extra={"--exclude": "n[1-2]", "exclusive": True, "nice": 0},
    )
    assert flags(Slurm().render(an_array(tmp_path, settings=settings))) == {
        "account": "lab",
        "array": "0-2%2",
        "constraint": "a100|h100",
        "cpus-per-task": "4",
        "exclude": "n[1-2]",
        "exclusive": "",
        "gpus-per-node": "2",
        "job-name": "gridrun-0123456789ab-0",
        "mem": "1536M",
        "nice": "0",
        "nodes": "1",
        "ntasks-per-node": "1",
        "open-mode": "append",
        "output": f"{tmp_path}/logs/%A_%a.log",
        "partition": "long",
        "qos": "high",
        "requeue": "",
        "signal": "B:USR2@90",
        "time": "10",
    }


def test_what_was_not_asked_for_is_left_to_the_site(tmp_path):
    found = flags(Slurm().render(an_array(tmp_path)))
    assert not {"account", "partition", "qos", "constraint", "gpus-per-node", "wckey", "error"} & set(found)


def test_a_script_touches_nothing_and_needs_no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    Slurm().render(an_array(tmp_path / "absent"))
    assert not any(tmp_path.iterdir())


def test_one_task_is_an_array_too_and_no_limit_is_the_size(tmp_path):
    assert flags(Slurm().render(an_array(tmp_path, n_tasks=1)))["array"] == "0-0%1"
    assert flags(Slurm().render(an_array(tmp_path, parallel=None)))["array"] == "0-2%3"


def test_memory_by_core_takes_the_place_of_memory_by_node(tmp_path):
    found = flags(Slurm().render(an_array(tmp_path, settings=Settings(extra={"mem-per-cpu": "2G"}))))
    assert found["mem-per-cpu"] == "2G" and "mem" not in found


def test_the_warning_comes_when_it_is_asked_to(tmp_path):
    settings = Settings(timeout_min=2, extra={"signal_delay_s": 45})
    assert flags(Slurm().render(an_array(tmp_path, settings=settings)))["signal"] == "B:USR2@45"
    settings = replace(settings, extra={})
    assert flags(Slurm().render(an_array(tmp_path, settings=settings)))["signal"] == "B:USR2@30"


def test_a_short_option_is_refused(tmp_path):
    with pytest.raises(UsageError, match="-x is a short option"):
        Slurm().render(an_array(tmp_path, settings=Settings(extra={"-x": "n1"})))


@pytest.mark.parametrize(
    "name", ["plain", "two words", "it's", 'a "b"', "ünï", "100%A %j %t", "$HOME `ls`", "#1; rm", "a&&b"]
)
def test_any_folder_and_value_comes_through_the_shell(tmp_path, name):
    """The script run by bash itself, with a command in Python's place that tells what it was given."""
    teller = tmp_path / "python"
    teller.write_text('#!/bin/sh\nprintf "%s\\n" "$VALUE" "$4"\n')
    teller.chmod(0o755)
    array = an_array(tmp_path / name, python=shlex.quote(str(teller)), environment={"VALUE": name})
    done = subprocess.run(["bash"], input=Slurm().render(array), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [name, str(tmp_path / name)]
    assert flags(Slurm().render(array))["output"] == f"{tmp_path}/{name.replace('%', '%%')}/logs/%A_%a.log"


@pytest.mark.parametrize("name", ["two\nlines", "back\\slash"])
def test_a_folder_that_slurm_cannot_log_to_is_refused(tmp_path, name):
    with pytest.raises(UsageError):
        Slurm().render(an_array(tmp_path / name))


@pytest.mark.parametrize("environment", [{"A": "two\nlines"}, {"A-B": "x"}, {"A=1; B": "x"}])
def test_a_variable_that_a_script_cannot_hold_is_refused(tmp_path, environment):
    with pytest.raises(UsageError):
        Slurm().render(an_array(tmp_path, environment=environment))


def test_setup_comes_after_the_variables_and_before_the_command(tmp_path):
    array = an_array(tmp_path, setup=("module load cuda", "export A=$A:more"), environment={"A": "first"})
    lines = Slurm().render(array).splitlines()
    order = ["export A=first", "module load cuda", "export A=$A:more", "export SUBMITIT_EXECUTOR=slurm"]
    places = [lines.index(line) for line in order]
    assert places == sorted(places) and lines[-1].startswith("exec /usr/bin/python3 -u -m gridrun.dispatch.start ")


# ------------------------------------------------------------------------------------- words, as Slurm printed them
SEEN = [
    # what squeue printed, what sacct printed, and what it means
    ("8_1|PENDING|Priority", "8_[0-3%2]|PENDING|0:0", JobState("pending", "", "PENDING", None, "Priority")),
    ("8_1|RUNNING|None", "8_1|RUNNING|0:0", JobState("running", raw="RUNNING")),
    ("8_1|RUNNING|None", "", JobState("running", raw="RUNNING")),
    ("8_1|CANCELLED|None", "8_1|CANCELLED by 0|0:0", JobState("ended", "cancelled", "CANCELLED", 0)),
    ("", "8_[0-2,4-5%2]|CANCELLED by 0|0:0", JobState("ended", "cancelled", "CANCELLED", 0)),
    ("8_1|COMPLETED|None", "8_1|COMPLETED|0:0", JobState("ended", "completed", "COMPLETED", 0)),
    ("8_1|COMPLETED|None", "", JobState("ended", "completed", "COMPLETED", None)),
    ("8_1|FAILED|NonZeroExitCode", "8_1|FAILED|3:0", JobState("ended", "failed", "FAILED", 3)),
    ("8_1|FAILED|JobLaunchFailure", "8_1|FAILED|0:9", JobState("ended", "failed", "FAILED", 137)),
    ("8_1|TIMEOUT|TimeLimit", "8_1|TIMEOUT|0:0", JobState("ended", "time", "TIMEOUT", 0)),
    ("", "8_1|OUT_OF_MEMORY|0:125", JobState("ended", "memory", "OUT_OF_MEMORY", 253)),
    ("8_1|SUSPENDED|None", "8_1|SUSPENDED|0:0", JobState("alive", raw="SUSPENDED")),
    ("8_1|COMPLETING|None", "8_1|REQUEUED|0:0", JobState("alive", raw="COMPLETING")),
    ("8_1|COMPLETING|None", "8_1|PREEMPTED|0:0", JobState("alive", raw="COMPLETING")),
    # the life before it was queued again, still in sacct
    ("8_1|PENDING|BeginTime", "8_1|PREEMPTED|0:0", JobState("pending", "", "PENDING", None, "BeginTime")),
    ("8_1|PENDING|BeginTime", "8_1|NODE_FAIL|0:0", JobState("pending", "", "PENDING", None, "BeginTime")),
    ("8_1|RUNNING|None", "8_1|NODE_FAIL|0:0", JobState("running", raw="RUNNING")),
    # listed, it may start again; gone, it does not
    ("8_1|NODE_FAIL|NodeDown", "8_1|NODE_FAIL|0:0", JobState("alive", raw="NODE_FAIL")),
    ("", "8_1|NODE_FAIL|1:0", JobState("ended", "node", "NODE_FAIL", 1)),
    ("", "8_1|PREEMPTED|0:0", JobState("ended", "preempted", "PREEMPTED", 0)),
    # gone from squeue while sacct has not heard of its end
    ("", "8_1|RUNNING|0:0", JobState("unknown", raw="RUNNING")),
    ("", "8_1|REQUEUED|0:0", JobState("unknown", raw="REQUEUED")),
    # a word from a later Slurm
    ("8_1|TELEPORTING|None", "", JobState("unknown", raw="TELEPORTING")),
]


@pytest.mark.parametrize("listed, accounted, state", SEEN)
def test_what_slurm_says_of_a_task(listed, accounted, state):
    assert slurm_states.states(listed, accounted)["8_1"] == state


def test_a_pending_array_stands_for_its_tasks():
    found = slurm_states.states("123_[4-6,9%2]|PENDING|Resources\n123_3|RUNNING|None\n", "")
    assert {task: state.phase for task, state in found.items()} == {
        "123_3": "running",
        **dict.fromkeys(["123_4", "123_5", "123_6", "123_9"], "pending"),
    }


def test_every_documented_word_has_a_meaning():
    for word in [*slurm_states.ENDS, *slurm_states.GOES_ON]:
        for states in (slurm_states.states(f"1_0|{word}|None", ""), slurm_states.states("", f"1_0|{word}|0:0")):
            assert states["1_0"].phase in PHASES and states["1_0"].cause in (*CAUSES, "")


def test_lines_that_are_no_tasks_are_passed_over():
    noise = "Welcome to the cluster!\n8_1.batch|FAILED|1:0\n8_1+0|FAILED|1:0\n8|FAILED|1:0\nslurm_load_jobs error|x\n"
    assert slurm_states.states(noise, noise) == {}


HINTS = [
    "slurmstepd-n1: error: StepId=6.batch exceeded memory limit (454945792 > 314572800), being killed",
    "slurmstepd: error: Exceeded job memory limit",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=9.batch. Some of the step tasks have been OOM Killed.",
    "slurmstepd: error: Detected 1 oom-kill event(s) in step 9.batch cgroup. Some of your processes may have been "
    "killed by the cgroup out-of-memory handler.",
]


@pytest.mark.parametrize("line", HINTS)
def test_a_kill_for_memory_is_seen_in_the_log(line):
    assert slurm_states.memory_kill(f"epoch 3\n{line}\n")
    assert not slurm_states.memory_kill("slurmstepd-n1: error: *** JOB 5 ON n1 CANCELLED AT 2026 DUE TO TIME LIMIT ***")


words = st.sampled_from([*slurm_states.ENDS, *slurm_states.GOES_ON, "CANCELLED by 12", "ODD", ""])
ids = st.from_regex(r"[0-9]{1,3}(_([0-9]{1,3}|\[[0-9,%:-]{0,9}\]))?(\.batch)?", fullmatch=True)
told = st.builds("{}|{}|{}".format, ids, words, st.sampled_from(["None", "0:0", "0:9", "", "a|b"]))
text = st.lists(st.one_of(told, st.text(max_size=30))).map("\n".join)


@given(text, text)
def test_the_parser_never_raises_and_calls_nothing_ended_without_the_word(listed, accounted):
    for task, state in slurm_states.states(listed, accounted).items():
        assert state.phase in PHASES and (state.cause in CAUSES) == (state.phase == "ended")
        if state.phase == "ended":
            assert state.raw in slurm_states.ENDS and state.raw in listed + accounted
            assert task.partition("_")[0] in listed + accounted


@given(st.text(), st.text())
def test_noise_is_no_task(listed, accounted):
    assert slurm_states.states(listed, accounted) == {}


def test_ids_out_of_bounds_do_not_fill_the_memory():
    assert slurm_states.tasks_of("1_[0-99999999999]") == []
    assert slurm_states.tasks_of("1_[5-0]") == []
    assert len(slurm_states.tasks_of("1_[0-100000]")) == 100_001


# -------------------------------------------------------------------------------- the commands, with programs in place
@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a program of a name on PATH, of lines of shell."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, lines: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/bash\ncd {shlex.quote(str(tmp_path))}\n{lines}\n")
        path.chmod(0o755)
        return path

    return make


def test_all_jobs_are_asked_for_in_one_call_of_each_command(program, tmp_path):
    program("squeue", "echo squeue >> calls; echo '1_0|RUNNING|None'; echo '2_0|PENDING|Priority'")
    program("sacct", "echo sacct >> calls; echo '3_0|COMPLETED|0:0'")
    found = Slurm().poll(["1", "2", "3", "2"])
    assert {task: state.phase for task, state in found.items()} == {"1_0": "running", "2_0": "pending", "3_0": "ended"}
    assert (tmp_path / "calls").read_text().split() == ["squeue", "sacct"]
    assert Slurm().poll([]) == {}


def test_jobs_that_squeue_does_not_know_are_no_error(program):
    program("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    program("sacct", "echo '3_0|COMPLETED|0:0'")
    assert Slurm().poll(["3"])["3_0"].cause == "completed"


@pytest.mark.parametrize(
    "sacct", ["exit 0", "echo 'Slurm accounting storage is disabled' >&2; exit 1", "sleep 60", None]
)
def test_sacct_may_be_empty_failing_slow_or_missing(program, tmp_path, sacct):
    program("squeue", "echo '1_0|RUNNING|None'")
    path = program("sacct", sacct or "")
    if sacct is None:
        path.write_text("#!/no/such/interpreter\n")
    assert Slurm(accounting_s=0.3).poll(["1"]) == {"1_0": JobState("running", raw="RUNNING")}


@pytest.mark.parametrize(
    "squeue, said",
    [
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller ' >&2; exit 1", "controller"),
        ("echo 'squeue: error: something else' >&2; exit 1", "something else"),
        ("echo 'squeue: error: retrying' >&2; sleep 60", "did not answer in 0.3 s"),
    ],
)
def test_without_squeue_nothing_is_known(program, squeue, said):
    program("squeue", squeue)
    program("sacct", "echo '1_0|FAILED|1:0'")
    with pytest.raises(SchedulerDown, match=said):
        Slurm(timeout_s=0.3).poll(["1"])


def test_the_script_is_handed_over_as_it_is_and_rules(program, tmp_path, monkeypatch):
    """Variables that would win over the script do not reach sbatch; others do."""
    program("sbatch", "cat > handed; env > variables; echo '77;cluster'")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "1")
    monkeypatch.setenv("SBATCH_RESERVATION", "mine")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    array = an_array(tmp_path / "ünï")
    script = Slurm().render(array)
    assert Slurm().submit(array, script) == "77"
    assert (tmp_path / "handed").read_bytes() == script.encode()
    variables = (tmp_path / "variables").read_text()
    assert "SBATCH_RESERVATION=mine" in variables
    assert "SBATCH_TIMELIMIT" not in variables and "SLURM_MEM_PER_CPU" not in variables


@pytest.mark.parametrize(
    "sbatch, error",
    [
        ("echo 'sbatch: error: Batch job submission failed: Invalid qos specification' >&2; exit 1", SubmissionFailed),
        ("echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv' >&2; exit 1", SchedulerDown),
        ("echo 'Welcome!'", SchedulerDown),
    ],
)
def test_a_submission_that_fails_says_what_slurm_said(program, tmp_path, sbatch, error):
    program("sbatch", sbatch)
    with pytest.raises(error, match="sbatch|Batch job submission failed"):
        Slurm().submit(an_array(tmp_path), "#!/bin/bash\n")


def test_lost_arrays_are_found_by_name_the_first_of_two(program):
    program("squeue", "echo '12|a'; echo '9|b'")
    program("sacct", "echo '10_3|b'; echo '10_4|b'; echo '8_[0-3]|c'; echo '1|other'")
    assert Slurm().find(["a", "b", "c", "d"]) == {"a": "12", "b": "9", "c": "8"}
    assert Slurm().find([]) == {}


def test_cancelling_what_is_gone_is_no_error(program):
    program("scancel", "echo 'scancel: error: Kill job error on job id 9: Invalid job id specified' >&2; exit 1")
    Slurm().cancel(["9"])
    program("scancel", "echo 'scancel: error: Kill job error on job id 9: Access/permission denied' >&2; exit 1")
    with pytest.raises(SchedulerDown, match="permission denied"):
        Slurm().cancel(["9"])


def test_the_largest_array_is_asked_for_once(program):
    program("scontrol", "echo 'MaxArraySize            = 20'; echo x >> asked")
    slurm = Slurm()
    assert (slurm.max_array(), slurm.max_array()) == (20, 20)
    program("scontrol", "exit 1")
    assert Slurm().max_array() == 1000


# ------------------------------------------------------------------------------------------------------- a real Slurm
def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{condition} within {seconds} s"
        time.sleep(0.3)
    return found


def an_array_of_words(folder: Path, body: str, **changes: object) -> Array:
    """An array whose tasks run lines of shell instead of Python."""
    (folder / "logs").mkdir(parents=True)
    program = folder / "program"
    program.write_text(f"#!/bin/bash\n{body}\n")
    program.chmod(0o755)
    folder.chmod(0o755)
    settings = Settings(mem_gb=0.1, timeout_min=5)
    name = f"gridrun-{os.urandom(6).hex()}-0"
    return an_array(folder, name=name, settings=settings, python=shlex.quote(str(program)), **changes)


@pytest.mark.slurm
@pytest.mark.parametrize("name", ["plain", 'it\'s a "study" #1 100%A %j ünï $HOME'])
def test_a_real_array_from_sbatch_to_its_log(tmp_path, name):
    array = an_array_of_words(tmp_path / name, 'echo "$SLURM_ARRAY_TASK_ID $VALUE"; exit $SLURM_ARRAY_TASK_ID')
    array = array._replace(environment={"VALUE": name})
    slurm = Slurm()
    job = slurm.submit(array, slurm.render(array))
    ended = {task: JobState("ended", "failed", "FAILED", i) for task, i in ((f"{job}_1", 1), (f"{job}_2", 2))}
    ended[f"{job}_0"] = JobState("ended", "completed", "COMPLETED", 0)
    wait_until(lambda: slurm.poll([job, "999999"]) == ended)
    assert [slurm.log(array.folder, job, i).read_text() for i in range(3)] == [f"{i} {name}\n" for i in range(3)]
    assert slurm.find([array.name, "gridrun-none"]) == {array.name: job}


@pytest.mark.slurm
def test_real_tasks_are_cancelled_one_and_all(tmp_path):
    array = an_array_of_words(tmp_path / "a", "exec sleep 300", parallel=3)
    slurm = Slurm()
    job = slurm.submit(array, slurm.render(array))

    def phases():
        return [slurm.poll([job]).get(f"{job}_{i}", JobState("absent")).phase for i in range(3)]

    try:
        wait_until(lambda: phases() == ["running"] * 3)
        slurm.cancel([f"{job}_1", "999999", f"{job}_77"])
        wait_until(lambda: phases() == ["running", "ended", "running"])
        assert slurm.poll([job])[f"{job}_1"].cause == "cancelled"
    finally:
        slurm.cancel([job])
    wait_until(lambda: phases() == ["ended"] * 3)
    slurm.cancel([job])


@pytest.mark.slurm
def test_a_real_kill_for_memory_is_told_by_the_log(tmp_path):
    hog = "python3 -c 'import time; held = bytearray(b\"x\" * 400_000_000); time.sleep(60)'"
    array = an_array_of_words(tmp_path / "a", f"exec {hog}", n_tasks=1)
    slurm = Slurm()
    job = slurm.submit(array, slurm.render(array))
    wait_until(lambda: slurm.poll([job])[f"{job}_0"].phase == "ended")
    cause = slurm.poll([job])[f"{job}_0"].cause
    wait_until(lambda: slurm.log(array.folder, job, 0).exists())
    log = slurm.log(array.folder, job, 0).read_text()
    assert cause == "memory" or (cause == "failed" and slurm_states.memory_kill(log))


@pytest.mark.slurm
def test_a_real_sbatch_says_why_it_refuses(tmp_path):
    array = an_array_of_words(tmp_path / "a", "true")
    array = array._replace(settings=replace(array.settings, partition="nonesuch"))
    with pytest.raises(SubmissionFailed, match="[Pp]artition"):
        Slurm().submit(array, Slurm().render(array))


@pytest.mark.slurm
def test_the_real_largest_array_is_accepted_and_one_more_is_not(tmp_path):
    slurm = Slurm()
    array = an_array_of_words(tmp_path / "a", "true", n_tasks=slurm.max_array())
    array = array._replace(settings=replace(array.settings, extra={"begin": "now+1hour"}))
    slurm.cancel([slurm.submit(array, slurm.render(array))])
    array = array._replace(n_tasks=array.n_tasks + 1)
    with pytest.raises(SubmissionFailed, match="array"):
        slurm.submit(array, slurm.render(array))
