"""What must hold when points are computed elsewhere, on fakes of Slurm's and LSF's commands that run the jobs.

The numbers are those of the list of things that must hold; others of it need a real cluster, or none.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_study
from away import Away
from fakes import cluster as fake
from fakes.cluster import Cluster, until

from gridrun.dispatch import lsf as lsf_backend
from gridrun.dispatch.slurm import Slurm

EVERYWHERE = pytest.mark.parametrize("where", ["slurm", "lsf", "openlava"])
SLURM_AND_LSF = pytest.mark.parametrize("where", ["slurm", "lsf"])


@pytest.fixture
def away(where: str, tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    """A study and a fake cluster; `where`: slurm, lsf, or openlava (LSF in its dialect)."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    monkeypatch.setattr(lsf_backend.dialect, "is_openlava", False)
    kind = "lsf" if where == "openlava" else where
    with fake.running(tmp_path / "cluster", kind, tools, monkeypatch) as cluster:
        cluster.switch(terminate_s=0.1, dialect="openlava" if where == "openlava" else "ibm")
        found = Away(tiny_study.make(tmp_path / "study"), cluster, kind)
        found.write()
        found.profile()
        yield found


@EVERYWHERE
def test_01_a_grid_of_50_points_gives_what_this_machine_gives_and_is_sent_once(away: Away) -> None:
    """The figure drawn from the cluster's results is the one drawn from local results; nothing is sent again."""
    away.write(50)
    here = tiny_study.make(away.study.folder.parent / "here")
    (here.folder / "experiments" / "waves.py").write_text((away.study.folder / "experiments" / "waves.py").read_text())
    away.send("-launch=chunk=10")
    assert away.follow().counts["done"] == 50
    assert here.run("train.py", "-exp=waves").status == 0
    for study in (away.study, here):
        assert study.run("make_figures.py", "-exp=waves").status == 0
    assert (here.folder / "figure.txt").read_text() == (away.study.folder / "figure.txt").read_text()
    n_jobs = len(away.cluster.jobs())
    again = away.train("-launch=chunk=10")
    assert (again.status, again.out) == (0, "nothing to submit: every point is done\n")
    assert len(away.cluster.jobs()) == n_jobs == 1
    assert len(away.lines("calls")) == 50


@pytest.mark.parametrize(
    "where, moment, n_before",
    [
        ("slurm", "before", 0),
        ("slurm", "after", 0),
        ("slurm", "after", 1),
        ("lsf", "before", 1),
        ("lsf", "after", 0),
        ("openlava", "after", 1),
    ],
)
def test_03_a_submitter_killed_around_a_submission_leaves_each_array_once(
    away: Away, moment: str, n_before: int
) -> None:
    """kill -9 right before, or right after, the scheduler took the first, or the second, of two arrays.

    Whoever follows finds the array by its name or submits it: each is there once, each point computed once.
    """
    away.cluster.switch(max_array=2, kill_submitter=moment, submissions_until_kill=n_before)
    assert away.train("-launch=chunk=1").status == -9
    assert len(away.cluster.jobs()) == n_before + (moment == "after")
    assert away.follow().counts["done"] == 4
    names = Counter(job["name"] for job in away.cluster.jobs())
    assert len(names) == 2 and set(names.values()) == {1}
    assert sorted(away.lines("calls")) == [f"plain {seed}" for seed in range(4)]


@SLURM_AND_LSF
def test_03_resume_is_all_that_is_to_be_typed(away: Away) -> None:
    """After a kill -9 within the first submission, `train.py` submits nothing twice and `resume` the rest."""
    away.cluster.switch(max_array=2, kill_submitter="after", hold="yes")
    assert away.train("-launch=chunk=1").status == -9
    again = away.train("-launch=chunk=1")
    assert again.status == 0 and "4 points sent before" in again.out
    away.cluster.switch(hold="")
    done = away.study.run("resume", "--wait")
    assert done.status == 0, done
    assert len(away.cluster.jobs()) == 2
    assert sorted(away.lines("calls")) == [f"plain {seed}" for seed in range(4)]


@EVERYWHERE
def test_04_a_killed_task_is_tried_again_and_no_other_is_touched(away: Away) -> None:
    """kill -9 of one process: its point is sent again, and computed; the other goes on, and is not started again."""
    away.write(2, "waits")
    away.send("-launch=chunk=1")
    until(lambda: len(away.lines("begun")) == 2)
    first, second = away.cluster.tasks()
    os.kill(first["pid"], signal.SIGKILL)
    away.cluster.wait(lambda cluster: cluster.tasks()[0]["phase"] == "ended")
    follower = away.follower()
    until(lambda: follower.look() and len(away.cluster.jobs()) == 2)
    until(lambda: len(away.lines("begun")) == 3)
    away.go()
    assert away.follow(follower=follower).counts["done"] == 2
    assert sorted(away.lines("calls")) == ["waits 0", "waits 1"]
    assert [task["starts"] for task in away.cluster.tasks()] == [1, 1, 1]
    [died] = away.events("died")
    assert died["task"].startswith(str(first["job"]))


@SLURM_AND_LSF
def test_04_a_hopeless_point_is_told_with_its_log(away: Away) -> None:
    """It kills its own process each time: tried as often as the profile says, then given up, and so is the status."""
    away.write(1, "deadly")
    away.profile("retries = 1")
    away.send()
    view = away.follow()
    assert view.counts["failed"] == 1
    assert len(away.cluster.jobs()) == 2
    [point] = view.points()
    assert "level=deadly" in point.log.read_text(), away.said
    assert any(str(point.log) in line for line in away.said), away.said
    assert away.study.run("resume").status == 0 and away.train().status == 0  # sent once more, if asked for
    until(lambda: len(away.cluster.jobs()) == 3)
    assert away.follow().counts["failed"] == 1


SLOW = """
import os, time
from pathlib import Path
from gridrun import cachable, split

STUDY = Path(__file__).parents[1]


@cachable(dependencies=["point:seed"])
def NAME_measure(point):
    for what in ("begun", "calls"):
        with open(STUDY / f"{what}.txt", "a") as file:
            file.write(f"{point['seed']}\\n")
        time.sleep(1 if what == "begun" else 0)
    return point["seed"]


def train_grid():
    return split([{"train": NAME_measure}], "seed", list(range(N_POINTS)))


def visualize():
    pass
"""


@pytest.mark.parametrize("where, n_threads", [("slurm", 1), ("lsf", 2), ("openlava", 1)])
def test_07_at_the_time_limit_a_task_starts_again_and_goes_on(away: Away, n_threads: int) -> None:
    """The scheduler's signal makes it start again under its own number; no point that was done is done again."""
    n_points = 8 * n_threads  # seconds of work for each thread
    away.study.write("waves", SLOW.replace("N_POINTS", str(n_points)))
    away.profile("retries = 9")
    away.cluster.switch(minute_s=6, kill_wait_s=60)
    away.send("-launch=chunk=100,timeout_min=1", f"-n_threads={n_threads}")
    assert away.follow().counts["done"] == n_points, away.said
    [task] = away.cluster.tasks()
    assert task["starts"] >= 2, "it was never asked to end"
    assert away.events("died") == []
    assert sorted(map(int, away.lines("calls"))) == list(range(n_points))


WORDS = [("slurm", "SUSPENDED"), ("slurm", "NODE_FAIL"), ("slurm", "SURPRISE"), ("lsf", "SSUSP"), ("lsf", "UNKWN")]


@pytest.mark.parametrize("where, word", [*WORDS, ("openlava", "ZOMBI"), ("openlava", "USUSP")])
def test_08_a_task_that_is_suspended_or_out_of_sight_is_not_dead(away: Away, word: str) -> None:
    """Minutes pass without a beat of its own, and the scheduler does not call it running: it is left alone."""
    away.write(1, "waits")
    away.send()
    until(lambda: away.lines("begun"))
    away.cluster.talk(do="suspend", tasks=[(101, away.cluster.tasks()[0]["index"])], to=True)
    away.cluster.pretend(word)
    follower = away.follower()
    start = follower.clock()
    while follower.clock() - start < 50:
        view = follower.look()
        assert (view.counts["running"], view.suspects) == (1, 0)
        time.sleep(0.2)
    away.cluster.pretend("")
    away.cluster.talk(do="suspend", tasks=[(101, away.cluster.tasks()[0]["index"])], to=False)
    away.go()
    assert away.follow(follower=follower).counts["done"] == 1
    assert away.lines("calls") == ["waits 0"] and away.events("died") == []


@EVERYWHERE
def test_09_arrays_are_as_large_as_the_scheduler_takes(away: Away) -> None:
    """55 tasks where an array has 20 at most: three arrays, and the last one's last task computes the last point."""
    away.write(55)
    away.cluster.switch(max_array=20, hold="yes")
    away.send("-launch=chunk=1")
    assert [len(job["tasks"]) for job in away.cluster.jobs()] == [20, 20, 15]
    last = "103_14" if away.mode == "slurm" else "103[15]"
    others = [view.task_id for view in away.follower().look().tasks if view.task_id != last]
    assert len(others) == 54
    away.follower().cancel(others)
    away.cluster.switch(hold="")
    counts = away.follow().counts
    assert (counts["done"], counts["cancelled"]) == (1, 54)
    assert away.lines("calls") == ["plain 54"]


@EVERYWHERE
def test_10_out_of_memory_is_answered_with_more_until_it_is_enough(away: Away) -> None:
    """A task that is killed for its memory is sent again with 1.5 times as much; the point succeeds then."""
    away.write(1, "greedy")
    away.send("-launch=mem_gb=0.15")
    view = away.follow()
    assert view.counts["done"] == 1, away.said
    away.cluster.wait(Cluster.has_ended)
    limits = [job["mem_kb"] for job in away.cluster.jobs()]
    assert len(limits) >= 2 and limits == sorted(limits)
    assert limits[1] == pytest.approx(1.5 * limits[0], rel=0.02)
    assert [task["cause"] for task in away.cluster.tasks()] == ["memory"] * (len(limits) - 1) + ["completed"]


@SLURM_AND_LSF
def test_10_memory_beyond_the_cap_is_a_clear_failure(away: Away) -> None:
    """With a cap that is not enough, the point fails, the message says so, and the exit status is not 0."""
    away.write(1, "greedy")
    away.profile("max_mem_gb = 0.16")
    away.send("-launch=mem_gb=0.15")
    view = away.follow()
    assert view.counts["failed"] == 1
    assert any("out of memory with 0.16 GB, which is all that max_mem_gb allows" in line for line in away.said)
    assert len(away.cluster.jobs()) == 2
    told = away.study.run("status", "-exp=waves")
    assert re.search(r"failed", told.out)


@SLURM_AND_LSF
def test_14_two_submitters_at_once_send_each_point_once(away: Away) -> None:
    """Both commands are at it at the same moment; whoever comes second leaves the points to the first."""
    words = away.study.command("train.py", "-exp=waves", f"-mode={away.mode}", "-launch=chunk=1")
    start = {"cwd": away.study.folder, "env": away.study.environment(), "stdout": subprocess.DEVNULL}
    both = [subprocess.Popen(words, **start) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    assert away.follow().finished
    assert sorted(away.lines("calls")) == [f"plain {seed}" for seed in range(4)]
    assert sum(len(job["tasks"]) for job in away.cluster.jobs()) == 4


QUIET = [  # where, switches: a scheduler that says little or nothing while tasks run
    ("slurm", {"accounting": "empty"}),
    ("slurm", {"missing": "sacct"}),
    ("slurm", {"slow_s": 30, "slow_commands": "sacct"}),
    ("slurm", {"down": "fail", "down_commands": "sacct"}),
    ("slurm", {"down": "fail", "down_commands": "squeue"}),
    ("slurm", {"down": "wait", "down_commands": "squeue"}),
    ("lsf", {"down": "fail"}),
    ("lsf", {"down": "wait"}),
    ("openlava", {"down": "fail"}),
    ("openlava", {"missing": "bjobs,bhist"}),
]


@pytest.mark.parametrize("where, switches", QUIET, ids=str)
def test_16_a_scheduler_that_does_not_answer_fails_nothing(
    away: Away, switches: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is so, no task is judged, though hours seem to pass; when it answers again, all is done, once."""
    away.write(2, "waits")
    away.send("-launch=chunk=1")
    until(lambda: len(away.lines("begun")) == 2)
    follower = away.follower(speed=1000)
    backend = follower.cases[0].backend
    backend.timeout_s = 1
    if isinstance(backend, Slurm):
        backend.accounting_s = 1
    follower.look()
    away.cluster.switch(**switches)
    for _ in range(3):
        view = follower.look()
        assert (view.counts["running"], view.counts["failed"], view.counts["lost"]) == (2, 0, 0), view.counts
        assert bool(view.problem) == ("sacct" not in str(switches) and "accounting" not in switches)
    away.cluster.switch(**dict.fromkeys(switches, "0" if "slow_s" in switches else ""))
    away.go()
    assert away.follow(follower=follower).counts["done"] == 2
    assert away.events("died") == []
    assert len(away.cluster.jobs()) == 1 and len(away.lines("calls")) == 2


@EVERYWHERE
def test_16_tasks_that_the_scheduler_forgets_the_moment_they_end_are_done_all_the_same(away: Away) -> None:
    """Nothing but the store says that they are done: no listing, no accounting, no history."""
    away.cluster.switch(forget_s=0, accounting="empty", missing="bhist")
    away.send("-launch=chunk=2")
    assert away.follow().counts["done"] == 4
    assert away.events("died") == [] and len(away.cluster.jobs()) == 1


OFTEN = """
from gridrun.dispatch import lease
lease.BEAT_S = 0.5
"""


@pytest.mark.parametrize("where", ["slurm", "openlava"])
def test_16_a_task_that_is_not_found_lives_as_long_as_its_own_word_changes(away: Away, tmp_path: Path) -> None:
    """`Job <9> is not found`, and an empty squeue: the beat of the task, which is there, counts."""
    away.write(1, "waits")
    away.profile(at_start(tmp_path, OFTEN))
    away.send()
    until(lambda: away.lines("begun"))
    away.cluster.pretend("hidden")
    follower = away.follower(speed=6)  # a beat every 0.5 s is one in 3 s of this clock, well within its 30
    start = follower.clock()
    while follower.clock() - start < 40:
        view = follower.look()
        assert view.counts["running"] == 1 and not away.events("died")
        time.sleep(0.2)
    away.go()
    assert away.follow(follower=follower).counts["done"] == 1
    assert away.lines("calls") == ["waits 0"]


def hurt(away: Away, how: str) -> None:
    """Damage every file of results that the tasks wrote."""
    files = [path for path in (away.sessions / "segments").rglob("*") if path.is_file()]
    assert files
    for path in files:
        raw = path.read_bytes()
        path.write_bytes({"truncated": raw[: len(raw) // 2], "garbage": os.urandom(len(raw)), "empty": b""}[how])


@pytest.mark.parametrize("where", ["slurm", "openlava"])
@pytest.mark.parametrize("how", ["truncated", "garbage", "empty"])
def test_12_damaged_results_are_found_and_computed_again(away: Away, how: str) -> None:
    """Whatever happened to the files: what cannot be read whole is missing, is sent again, and the figure is right."""
    away.send("-launch=chunk=2")
    assert away.follow().counts["done"] == 4
    away.cluster.wait(Cluster.has_ended)
    hurt(away, how)
    away.send("-launch=chunk=2")
    assert away.follow().counts["done"] == 4
    assert len(away.lines("calls")) > 4
    assert away.study.run("make_figures.py", "-exp=waves").status == 0
    assert away.lines("figure") == [repr([seed / 7 for seed in range(4)])]


def at_start(folder: Path, code: str) -> str:
    """A line of a profile, with which every Python of a task runs this code first."""
    page = folder / "at_start" / "sitecustomize.py"
    page.parent.mkdir()
    page.write_text(code)
    return f'setup = ["export PYTHONPATH={page.parent}:$PYTHONPATH"]'


SKEWED = """
import os, time
now, name = time.time, os.uname
time.time = lambda: now() + SECONDS
os.uname = lambda: os.uname_result(("Linux", "faraway", *tuple(name())[2:]))
"""


@pytest.mark.parametrize("where, seconds", [("slurm", 3600), ("slurm", -3600), ("lsf", 3600)])
def test_13_a_clock_that_is_an_hour_off_steals_no_point(away: Away, tmp_path: Path, seconds: int) -> None:
    """Tasks on a machine of another name whose clock is wrong: nobody takes their points, here or elsewhere."""
    away.write(2, "waits")
    away.profile(at_start(tmp_path, SKEWED.replace("SECONDS", str(seconds))))
    away.send("-launch=chunk=1")
    until(lambda: len(away.lines("begun")) == 2)
    words = away.study.command("train.py", "-exp=waves")
    local = subprocess.Popen(words, cwd=away.study.folder, env=away.study.environment(), stdout=subprocess.DEVNULL)
    try:
        follower = away.follower(speed=2)
        start = follower.clock()
        while follower.clock() - start < 8:
            assert follower.look().counts["running"] == 2
            assert local.poll() is None  # it waits for the results of the others
            time.sleep(0.2)
        away.go()
        assert local.wait(60) == 0
    finally:
        local.kill()
    assert away.follow(follower=follower).counts["done"] == 2
    assert sorted(away.lines("begun")) == sorted(away.lines("calls")) == ["waits 0", "waits 1"]


@EVERYWHERE
def test_17_a_hundred_dead_tasks_are_judged_together(away: Away) -> None:
    """All die before Python begins. Once they are past suspicion, one look buries them, with one question a look."""
    away.write(100)
    away.profile('python = "/bin/false"', "retries = 0", "parallel = 100")
    away.send("-launch=chunk=1")
    away.cluster.wait(Cluster.has_ended)
    now = [0.0]
    follower = away.follower()
    follower.clock = lambda: now[0]
    asked = len(away.cluster.commands())
    counts = []
    for now[0] in (0.0, 16.0, 31.0):  # by its clock: far less than a minute
        counts.append(follower.look().counts["failed"])
    assert counts == [0, 0, 100]
    assert len(away.events("died")) == 100
    questions = Counter(line.split()[0] for line in away.cluster.commands()[asked:])
    assert max(questions.values()) <= 4, questions  # bjobs: once more, to find out how it speaks


@EVERYWHERE
def test_18_cancel_all_one_pending_running(away: Away) -> None:
    """Each of them ends what it names, at the scheduler too, and leaves the rest alone."""
    away.write(6, "waits")
    away.cluster.switch(slots=3)
    away.send("-launch=chunk=1")
    until(lambda: len(away.lines("begun")) == 3)
    states = lambda: [task["cause"] or task["phase"] for task in away.cluster.tasks()]  # noqa: E731
    assert states() == ["running"] * 3 + ["pending"] * 3
    away.cluster.switch(hold="yes")
    name = "{}_0" if away.mode == "slurm" else "{}[1]"
    one = away.study.run("cancel", name.format(away.cluster.jobs()[0]["id"]))
    assert one.status == 0, one
    until(lambda: states() == ["cancelled", "running", "running"] + ["pending"] * 3)
    pending = away.study.run("cancel", "--all", "--pending")
    assert pending.status == 0 and "3 points" in pending.out, pending
    until(lambda: states() == ["cancelled", "running", "running"] + ["cancelled"] * 3)
    running = away.study.run("cancel", "--all", "--running")
    assert running.status == 0 and "2 points" in running.out, running
    until(lambda: states() == ["cancelled"] * 6)
    away.cluster.switch(hold="")
    away.go()
    away.send("-launch=chunk=3")  # what was cancelled is missing again
    until(lambda: len(away.lines("begun")) > 3)
    assert away.study.run("cancel", "--all").status == 0
    away.cluster.wait(Cluster.has_ended)
    assert away.follow().finished


@EVERYWHERE
def test_19_a_dry_run_shows_what_would_be_submitted_byte_for_byte(away: Away) -> None:
    """Its scripts are those that the scheduler then gets; until then nothing is written and no job is there."""
    files = sorted(away.study.folder.rglob("*"))
    words = ("-launch=chunk=1,mem_gb=1.5,timeout_min=90", "-n_threads=2")
    away.cluster.switch(max_array=3)
    dry = away.train("--dry-run", *words)
    assert dry.status == 0, dry
    left = [path for path in away.study.folder.rglob("*") if path not in files and "__pycache__" not in path.parts]
    assert left == [] and away.cluster.jobs() == []
    away.send(*words)
    scripts = [away.cluster.script(job["id"]).decode() for job in away.cluster.jobs()]
    assert len(scripts) == 2
    shown = re.split(r"\n----- \S+\n|^-----\n", dry.out, flags=re.MULTILINE)
    assert shown[1:-1] == scripts


@EVERYWHERE
def test_20_any_name_of_a_folder_will_do(away: Away, tmp_path: Path) -> None:
    """Spaces, both kinds of quotes, shell's and schedulers' marks, and letters of other alphabets."""
    folder = tmp_path / 'it\'s a "study" of $HOME & 50%A `é` ☂'
    away.study = tiny_study.make(folder)
    away.write()
    away.profile("setup = ['export MARK=\"a  b\"']", f"python = '{away.study.command('train.py')[0]}'")
    away.send("-launch=chunk=2")
    assert away.follow().counts["done"] == 4, [log.read_text() for log in folder.rglob("*.log")]
    logs = list(folder.rglob("*.log"))
    assert len(logs) == 2 and all("2 done" in log.read_text() for log in logs)


COUNTED = """
import os, time
from pathlib import Path
from gridrun import cachable, run, split

STUDY = Path(__file__).parents[1]


@cachable(dependencies=["point:seed"])
def NAME_measure(point):
    mine = STUDY / "on" / str(point["seed"])
    mine.parent.mkdir(exist_ok=True)
    mine.touch()
    time.sleep(0.3)
    with open(STUDY / "side_by_side.txt", "a") as file:
        file.write(f"{len(os.listdir(mine.parent))}\\n")
    mine.unlink()
    return point["seed"]


def train_grid():
    return split([{"train": NAME_measure}], "seed", list(range(8)))


def visualize():
    pass
"""


@SLURM_AND_LSF
def test_22_two_threads_are_never_more_than_two_points_at_once(away: Away) -> None:
    """-n_threads=2: in a task on the cluster, and on this machine; and it is two, not one."""
    away.study.write("waves", COUNTED)
    away.send("-launch=chunk=8", "-n_threads=2")
    assert away.follow().counts["done"] == 8
    assert set(away.lines("side_by_side")) == {"1", "2"} or set(away.lines("side_by_side")) == {"2"}
    (away.study.folder / "side_by_side.txt").unlink()
    assert away.study.run("train.py", "-exp=waves", "-n_threads=2", "-force").status == 0
    assert max(away.lines("side_by_side")) == "2" and len(away.lines("side_by_side")) == 8
