"""What must hold on a cluster, each on a real Slurm: see launch/test_cluster and `make test-slurm`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_study import ROOT, Done

from .cluster import Cluster, ClusterStudy, make_study, raised, wait_until

pytestmark = pytest.mark.slurm
NOBODY = 65534


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterStudy]:
    """A study on the cluster that SLURM_CONF names; its jobs are ended with the test."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    study = make_study(tmp_path / "study")
    yield study
    end_jobs(study)


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs_root: None) -> Iterator[object]:
    """Makes a study on a cluster of its own."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    made: list[ClusterStudy] = []

    def make(cluster: Cluster) -> ClusterStudy:
        made.append(make_study(tmp_path / "study", variables=cluster.variables))
        return made[-1]

    yield make


@pytest.fixture
def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts a cluster of its own, or mounts a small disk")


def end_jobs(study: ClusterStudy) -> None:
    jobs = {task.partition("_")[0] for task, word in study.jobs().items() if word not in ("COMPLETED", "CANCELLED")}
    if jobs:
        study.slurm("scancel", *jobs)


def running(study: ClusterStudy, n: int) -> bool:
    """Whether n measurements have begun."""
    return len(study.starts()) >= n


def n_arrays(study: ClusterStudy) -> int:
    """How many arrays were sent, by all submissions."""
    return len(list((study.folder / "sessions" / "jobs").glob("*/*/script.sh")))


def each_once(study: ClusterStudy, n_points: int) -> None:
    """Every point was started once, and ended."""
    assert sorted(study.starts()) == sorted(study.ends()) == list(range(n_points)), study.logs()


def well(done: Done) -> Done:
    assert done.status == 0, f"{done.out}\n{done.err}"
    return done


# ------------------------------------------------------------------------------------------------------------ results
def test_01_a_grid_of_50_points_equals_a_local_one_and_is_sent_once(study: ClusterStudy) -> None:
    """A 50-point grid: results equal a local run's; a second run submits nothing."""
    study.page(50, chunk=5)
    well(study.train("--wait"))
    each_once(study, 50)
    assert len(study.jobs()) == 10
    away = study.squares()
    assert "nothing to submit" in well(study.train()).out
    assert len(study.jobs()) == 10
    shutil.move(study.folder / "sessions", study.folder / "elsewhere")
    well(study.run("train.py", "-exp=page", "-mode=local"))
    assert away == study.squares() == [n * n for n in range(50)]


def test_02_the_submitter_is_killed(study: ClusterStudy) -> None:
    """kill -9 the submitter 1 s after submitting; a new process's status and resume: no point twice, all done."""
    study.page(20, "time.sleep(0.5)", chunk=2)
    submitter = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
    wait_until(study.jobs)
    with pytest.raises(subprocess.TimeoutExpired):
        submitter.wait(1)
    os.killpg(submitter.pid, signal.SIGKILL)
    submitter.communicate()
    assert "20" in well(study.run("status")).out
    assert "20 done" in well(study.run("resume", "--wait")).out
    each_once(study, 20)
    assert study.squares() == [n * n for n in range(20)]


# ------------------------------------------------------------------------------------------------------------- deaths
def test_04_a_killed_worker_is_tried_again_and_others_are_not_touched(study: ClusterStudy) -> None:
    """kill -9 one worker: that point is retried, others untouched."""
    study.page(4, "wait_for('go')")
    follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
    wait_until(lambda: running(study, 4))
    (pid,) = (pid for what, n, pid, *_ in study.calls() if n == 2)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(study.starts(2)) == 2, 150)
    study.release("go")
    out, err = follower.communicate(timeout=150)
    assert follower.returncode == 0, out + err
    assert Counter(study.starts()) == {0: 1, 1: 1, 2: 2, 3: 1} and sorted(study.ends()) == [0, 1, 2, 3]


def test_04_a_hopeless_point_is_reported_with_its_log(study: ClusterStudy) -> None:
    """A hopeless one is reported with its log, exit status not 0."""
    study.profile(retries=1)
    study.page(3, "if point['n'] == 1:\n    print('the last words', flush=True)\n    os.kill(os.getpid(), 9)")
    done = study.train("--wait")
    assert done.status == 1, done.out + done.err
    assert Counter(study.starts()) == {0: 1, 1: 2, 2: 1} and sorted(study.ends()) == [0, 2]
    logs = [Path(name) for name in re.findall(r"/\S+\.log", done.out + done.err)]
    assert logs and all("the last words" in log.read_text() for log in logs)
    assert "2 cached" in done.out and "1 failed" in done.out, done.out


def test_05_a_node_dies(on) -> None:
    """Kill a node (slurmd, its stepd and job): no concurrent duplicate."""
    with raised(nodes=2, cpus=2) as cluster:
        study = on(cluster)
        study.page(4, "wait_for('go')")
        follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
        wait_until(lambda: running(study, 4))
        there = dict(line.split() for line in study.slurm("squeue", "-h", "-r", "-o", "%i %N").splitlines())
        lost = {int(task.partition("_")[2]) for task, node in there.items() if node == "n2"}
        assert len(lost) == 2, there
        cluster.break_("kill-node", "n2")
        before = study.calls()
        # Slurm takes a while to notice, and queues the two again under the same ids; then the node comes back
        wait_until(lambda: list(study.jobs().values()).count("PENDING") == 2, 120)
        cluster.break_("start-node", "n2")
        wait_until(lambda: running(study, 6), 120)
        study.release("go")
        out, err = follower.communicate(timeout=150)
        assert follower.returncode == 0, out + err
        again = study.calls()[len(before) :]
        assert sorted(n for what, n, *_ in again if what == "start") == sorted(lost)  # only after the death, only those
        assert Counter(study.starts()) == {n: 1 + (n in lost) for n in range(4)}
        assert sorted(study.ends()) == list(range(4)) and n_arrays(study) == 1


def test_05_a_node_that_only_seems_dead(on) -> None:
    """A node that Slurm cannot reach is not dead: its task goes on, and the one queued again leaves the point to it."""
    with raised(nodes=2, cpus=1) as cluster:
        study = on(cluster)
        study.page(1, "wait_for('go')")
        follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
        wait_until(lambda: running(study, 1))
        node = study.slurm("squeue", "-h", "-o", "%N").strip()
        cluster.break_("freeze", node)
        wait_until(lambda: study.logs().count("1 of 1 points to compute") == 2, 150, "the second start of the task")
        with contextlib.suppress(subprocess.TimeoutExpired):
            follower.wait(15)
        assert len(study.starts()) == 1
        study.release("go")
        out, err = follower.communicate(timeout=200)
        cluster.break_("thaw", node)
        assert follower.returncode == 0, out + err
        each_once(study, 1)


def test_06_a_preempted_task_goes_on_when_there_is_room(on) -> None:
    """Preemption: tasks that have to make room are queued again, and each point is computed to its end once."""
    with raised(nodes=1, cpus=2) as cluster:
        study = on(cluster)
        study.profile(partition="low")
        study.page(2, "wait_for('go')")
        follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
        wait_until(lambda: running(study, 2))
        study.slurm("sbatch", "--partition=high", "-c2", "--output=/dev/null", "--wrap=sleep 12")
        wait_until(lambda: running(study, 4), 120)
        study.release("go")
        out, err = follower.communicate(timeout=150)
        assert follower.returncode == 0, out + err
        assert Counter(study.starts()) == {0: 2, 1: 2} and sorted(study.ends()) == [0, 1]
        assert n_arrays(study) == 1
        assert "asked to end" in study.logs()  # the warning reached the task, and did not only end it


TRAINING = """
import time
from pathlib import Path

from gridrun import cachable
from gridrun.architectures import digits_cnn

STUDY = Path(__file__).parents[1]
launch_settings = {"timeout_min": 1, "mem_gb": 1.0}


@cachable(dependencies=["point:n_epochs"])
def slow_train(point):
    from gridrun.tasks.train import train
    from gridrun.training import loop

    real = loop.generator

    def slow(seed, *labels):
        if labels[0] == "step":
            with open(STUDY / "steps.txt", "a") as steps:
                steps.write(f"{labels[1]}\\n")
            time.sleep(0.5)
        return real(seed, *labels)

    loop.generator = slow
    return {"accuracy": train(point)["test_accuracy"]}


def train_grid():
    point = digits_cnn.make(n_epochs=[N_EPOCHS], channels=[2, 2], hidden=[8], learning_rate=[1e-3])
    return [{**point, "train": slow_train}]


def visualize():
    pass
"""


def test_07_a_training_outlives_its_time_limit(study: ClusterStudy) -> None:
    """1-minute limit: training resumes, losing at most one checkpoint interval."""
    study.profile(setup='["export GRIDRUN_CHECKPOINT_S=0"]')  # one at every step: what is lost is at most a step
    page = study.folder / "experiments" / "page.py"
    page.parent.mkdir()
    page.write_text(TRAINING.replace("N_EPOCHS", "9"))  # a minute and more; the warning comes within 45 s
    well(study.train("--wait", timeout=420))
    assert "asked to end" in study.logs()  # the warning reached the training: it was not just killed
    begun = [int(line) for line in (study.folder / "steps.txt").read_text().splitlines()]
    (log,) = (study.folder / "sessions" / "runs").glob("*/log.jsonl")
    told = [json.loads(line) for line in log.read_text().splitlines()]
    n_lives = sum("started" in line for line in told)
    assert n_lives >= 2 and any(line.get("resumed", 0) > 0 for line in told), told
    assert sorted(set(begun)) == list(range(len(set(begun))))
    assert len(begun) - len(set(begun)) <= n_lives - 1, "a life repeats at most the step in which the one before ended"


def test_08_a_suspended_task_is_not_dead(study: ClusterStudy) -> None:
    """scontrol suspend: not dead."""
    study.page(2, "wait_for('go')")
    follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
    wait_until(lambda: running(study, 2))
    tasks = sorted(study.jobs())
    for task in tasks:
        study.slurm("scontrol", "suspend", task)
    wait_until(lambda: set(study.jobs().values()) == {"SUSPENDED"})
    with pytest.raises(subprocess.TimeoutExpired):  # longer than it takes to call a task dead
        follower.wait(60)
    (row,) = json.loads(well(study.run("status", "--format=json")).out)
    assert row["failed"] == 0 and row["running"] == 2, row
    for task in tasks:
        study.slurm("scontrol", "resume", task)
    study.release("go")
    out, err = follower.communicate(timeout=150)
    assert follower.returncode == 0, out + err
    each_once(study, 2)
    assert n_arrays(study) == 1


def test_09_an_array_is_no_larger_than_the_cluster_allows(on) -> None:
    """MaxArraySize 20 with 55 points: 3 arrays."""
    with raised(max_array=20) as cluster:
        study = on(cluster)
        study.page(55, chunk=1)
        well(study.train("--wait"))
        each_once(study, 55)
        sizes = Counter(task.partition("_")[0] for task in study.jobs())
        assert sorted(sizes.values()) == [15, 20, 20]


HOG = "held = bytearray(b'x' * 280_000_000)\ntime.sleep(12)"  # longer than it takes Slurm to notice


def test_10_out_of_memory_is_tried_again_with_more(study: ClusterStudy) -> None:
    """Out of memory: raised, then success."""
    study.page(1, HOG, mem_gb=0.25)
    done = well(study.train("--wait"))
    assert "out of memory: again with 0.375 GB" in done.out
    assert len(study.starts()) == 2 and study.squares() == [0]


def test_10_out_of_memory_at_the_cap_is_a_clear_failure(study: ClusterStudy) -> None:
    """Out of memory, capped: a clear failure."""
    study.profile(max_mem_gb=0.26)
    study.page(1, HOG, mem_gb=0.25)
    done = study.train("--wait")
    assert done.status == 1
    assert "out of memory with 0.26 GB" in done.out and "max_mem_gb" in done.out
    assert len(study.starts()) == 2


BYTES = """
import random
from gridrun import cachable, run, split


@cachable(dependencies=["point:n"])
def measure(point):
    return {"noise": random.Random(point["n"]).randbytes(100_000)}


def train_grid():
    return split([{"train": measure, "n": 0}], "n", list(range(40)))


def visualize():
    import gridrun
    from pathlib import Path
    states = gridrun.explain(train_grid(), "train")("{*}")
    done = [point for point, state in zip(train_grid(), states) if state.state == "cached"]
    found = run(done, "train", run_mode="load", store_key="*")("{*}") if done else []
    assert all(p["noise"] == random.Random(p["n"]).randbytes(100_000) for p in found), "a torn result"
    Path("whole.txt").write_text(str(len(found)))
"""


def test_11_a_full_disk(study: ClusterStudy, needs_root: None) -> None:
    """A full disk: nothing torn is ever read as whole; the message names the disk; afterwards resume completes."""
    page = study.folder / "experiments" / "page.py"
    page.parent.mkdir()
    page.write_text(BYTES + "\nlaunch_settings = {'chunk': 10}\n")
    disk = study.folder / "sessions"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "gridrun-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        done = study.train("--wait")
        assert done.status == 1 and re.search("no space|disk", done.out + done.err, re.IGNORECASE), done
        well(study.run("make_figures.py", "-exp=page"))
        n_whole = int((study.folder / "whole.txt").read_text())
        assert n_whole < 40
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        well(study.run("resume", "--wait"))
        well(study.run("make_figures.py", "-exp=page"))
        assert (study.folder / "whole.txt").read_text() == "40"
    finally:
        end_jobs(study)
        wait_until(lambda: subprocess.run(["umount", str(disk)], capture_output=True, check=False).returncode == 0, 30)


# --------------------------------------------------------------------------------------------- submitters, schedulers
def test_14_two_submitters_at_once(study: ClusterStudy) -> None:
    """Two submitters at once: each point once."""
    study.page(24, "time.sleep(0.2)", chunk=3)
    both = [study.start("train.py", "-exp=page", "-mode=slurm", "--wait") for _ in range(2)]
    for each in both:
        out, err = each.communicate(timeout=200)
        assert each.returncode == 0, out + err
        assert "24 cached" in out
    each_once(study, 24)


@pytest.mark.parametrize("daemon", ["slurmctld", "slurmdbd"])
def test_15_a_daemon_of_slurm_is_gone_for_a_while(on, daemon: str) -> None:
    """slurmctld or slurmdbd gone for 20 s: no false failure."""
    with raised(nodes=1) as cluster:
        study = on(cluster)
        study.page(3, "wait_for('go')")
        follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
        wait_until(lambda: running(study, 2))
        cluster.break_("freeze", daemon)
        study.release("go")  # two end and one should start while nobody can be asked
        with contextlib.suppress(subprocess.TimeoutExpired):  # without slurmdbd it may well be done by then
            follower.wait(20)
        cluster.break_("thaw", daemon)
        out, err = follower.communicate(timeout=200)
        assert follower.returncode == 0, out + err
        each_once(study, 3)
        assert n_arrays(study) == 1


def test_15_what_cannot_be_asked_is_not_called_failed(on) -> None:
    """With slurmctld gone, status says so and calls nothing failed or lost."""
    with raised(nodes=1, accounting=0) as cluster:
        study = on(cluster)
        study.page(2, "wait_for('go')")
        well(study.train())
        wait_until(lambda: running(study, 2))
        os.kill(int((cluster.folder / "run" / "slurmctld.pid").read_text()), signal.SIGTERM)
        wait_until(lambda: "DOWN" in study.slurm("scontrol", "ping"))
        done = well(study.run("status"))
        assert "squeue" in done.out + done.err, done
        assert " 0 " in done.out and "lost" not in done.out, done.out
        cluster.script("up.sh")
        study.release("go")
        assert "2 done" in well(study.run("wait")).out
        each_once(study, 2)


def test_17_a_hundred_dead_tasks_are_judged_together(study: ClusterStudy) -> None:
    """100 dead tasks judged in under 60 s."""
    study.profile(retries=0)
    study.page(100, "os._exit(3)", chunk=1)
    follower = study.start("train.py", "-exp=page", "-mode=slurm", "--wait")
    wait_until(lambda: list(study.jobs().values()).count("FAILED") == 100, 200)
    out, err = follower.communicate(timeout=120)  # 60 s, and as much again for a machine in use
    assert follower.returncode == 1 and "100 failed" in out, out + err
    assert sorted(study.starts()) == list(range(100))


def test_18_cancelling(study: ClusterStudy) -> None:
    """Cancel all, one, pending, running; what was cancelled can be sent again."""
    study.profile(parallel=2)
    study.page(6, "wait_for('go')")
    well(study.train())
    wait_until(lambda: running(study, 2))
    job = next(iter(study.jobs())).partition("_")[0]
    first = study.calls()[0][1]

    def count(word: str) -> int:
        return list(study.jobs().values()).count(word)

    well(study.run("cancel", f"{job}_{first}"))
    wait_until(lambda: running(study, 3), what="another takes its place")
    wait_until(lambda: study.jobs()[f"{job}_{first}"] == "CANCELLED")
    well(study.run("cancel", "--all", "--pending"))
    wait_until(lambda: count("PENDING") == 0)
    assert count("RUNNING") == 2
    well(study.run("cancel", "--all", "--running"))
    wait_until(lambda: count("RUNNING") == count("COMPLETING") == 0)
    assert study.ends() == []
    study.release("go")
    well(study.train("--wait"))
    assert study.squares() == [n * n for n in range(6)] and sorted(study.ends()) == list(range(6))


def test_18_cancelling_a_whole_submission(study: ClusterStudy) -> None:
    """Cancel all: by the submission's token; status and wait say so, and nothing is tried again."""
    study.page(12, "wait_for('go')", chunk=1)
    well(study.train())
    wait_until(lambda: running(study, 4))
    assert "cancelled" in well(study.run("cancel", study.token()[:6])).out
    wait_until(lambda: not {"RUNNING", "PENDING", "COMPLETING"} & set(study.jobs().values()))
    assert "nothing to resume" in well(study.run("resume")).out
    assert study.ends() == [] and n_arrays(study) == 1


def test_19_a_dry_run_shows_what_is_submitted(study: ClusterStudy) -> None:
    """--dry-run equals what is submitted, and touches nothing."""
    study.page(3, chunk=1)
    shown = well(study.train("--dry-run")).out
    assert not (study.folder / "sessions" / "jobs").exists() and not study.jobs()
    well(study.train())
    (script,) = (study.folder / "sessions" / "jobs").glob("*/*/script.sh")
    assert script.read_text() in shown
    job = next(iter(study.jobs())).partition("_")[0]
    assert study.slurm("scontrol", "write", "batch_script", job, "-").rstrip("\n") == script.read_text().rstrip("\n")
    well(study.run("wait"))


@pytest.mark.parametrize("name", ["two words", "it's", 'a "b"', "ünï çødé 数", "100% #1 %A %j", "$HOME;&"])
def test_20_any_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Spaces, quotes, unicode in paths and names."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    study = make_study(tmp_path / name)
    study.page(2, "print('said by', point['n'], flush=True)")
    try:
        well(study.train("--wait"))
        each_once(study, 2)
        task = min(study.jobs())
        assert "said by 0" in well(study.run("logs", task)).out
        assert study.squares() == [0, 1]
    finally:
        end_jobs(study)


# --------------------------------------------------------------------------------------------------------- many, others
@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch, needs_root: None) -> Iterator[ClusterStudy]:
    """The study of a user who is not root, in a private home, with a Python that this user may run."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    path = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        code = f"PYTHONPATH={shlex.quote(path)} exec {shlex.quote(python)} -c 'import gridrun, submitit, cloudpickle'"
        if not subprocess.run([*become, "sh", "-c", code], capture_output=True, check=False, cwd="/").returncode:
            break
    else:
        pytest.skip("no other user can run this Python")
    home = Path(tempfile.mkdtemp(prefix="gridrun-somebody-", dir="/tmp"))
    home.chmod(0o700)
    variables = {"HOME": str(home), "USER": "nobody", "LOGNAME": "nobody", "TMPDIR": str(home), "PYTHONPATH": path}
    study = make_study(home / "study", variables=variables, prefix=become, python=python)
    yield study
    end_jobs(study)
    shutil.rmtree(home)


def test_21_a_user_who_is_not_root(somebody: ClusterStudy) -> None:
    """As a non-root user."""
    somebody.page(3, "time.sleep(0.2)")
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(somebody.folder.parent)], check=True)
    well(somebody.train("--wait"))
    each_once(somebody, 3)
    assert somebody.squares() == [0, 1, 4]
    assert {path.stat().st_uid for path in (somebody.folder / "sessions").rglob("*")} == {NOBODY}


def test_23_many_short_points_share_tasks(study: ClusterStudy) -> None:
    """2,000 short points: few jobs."""
    study.profile(parallel=8)
    study.page(2000, "time.sleep(0.02)", point_s=0.02)
    well(study.train("--wait", timeout=300))
    assert sorted(study.ends()) == list(range(2000))
    assert len(study.jobs()) <= 20
