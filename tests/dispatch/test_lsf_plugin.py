"""submitit on a fake LSF, with nothing of gridrun's in between but the plug-in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import submitit
from fakes.cluster import Cluster, until
from submitit.core.utils import FailedJobError, UncompletedJobError

from gridrun.dispatch.lsf_plugin import LsfExecutor, LsfJob, LsfJobEnvironment


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("no such luck")


class Counted:
    """Writes down each start; sleeps when it starts for the first time, and goes on from a checkpoint after that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = "nothing"

    def __call__(self) -> str:
        with open(self.folder / "starts", "a") as file:
            file.write(f"{self.seen}\n")
        if self.seen == "nothing":
            time.sleep(100)
        return self.seen

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        self.seen = "a checkpoint"
        return submitit.helpers.DelayedSubmission(self)


@pytest.fixture(params=["ibm", "openlava"])
def executor(
    request: pytest.FixtureRequest, lsf: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LsfExecutor:
    lsf.switch(dialect=request.param, terminate_s=0.1)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(__file__).parents[up]) for up in (1, 2)))
    monkeypatch.setattr("gridrun.dispatch.lsf.dialect.is_openlava", False)
    monkeypatch.setattr(LsfJob, "watcher", type(LsfJob.watcher)(delay_s=1))
    monkeypatch.setattr(LsfJob, "_results_timeout_s", 1)
    made = LsfExecutor(tmp_path / "my jobs" / "%j")
    made.update_parameters(timeout_min=30)
    return made


def test_a_call_gives_its_result_and_its_prints(executor: LsfExecutor, lsf: Cluster) -> None:
    lsf.switch(banner="yes")
    job = executor.submit(add, 1, b=2)
    assert job.result() == 3
    lsf.wait(Cluster.has_ended)
    assert job.done(force_check=True)
    assert "Job completed successfully" in (job.stderr() or "") + (job.stdout() or "")
    assert job.state == "COMPLETED"


def test_several_calls_are_one_array(executor: LsfExecutor, lsf: Cluster) -> None:
    executor.update_parameters(array_parallelism=2, job_name="sums")
    jobs = executor.map_array(add, [1, 2, 3], [10, 20, 30])
    assert [job.result() for job in jobs] == [11, 22, 33]
    [array] = lsf.jobs()
    assert (array["name"], array["parallel"], len(array["tasks"])) == ("sums", 2, 3)
    assert [job.job_id for job in jobs] == [f"{array['id']}_{element}" for element in (1, 2, 3)]


def test_an_exception_comes_back(executor: LsfExecutor) -> None:
    with pytest.raises(FailedJobError, match="no such luck"):
        executor.submit(fail).result()


def test_cancel_ends_one_task_of_an_array(executor: LsfExecutor, lsf: Cluster) -> None:
    first, second = executor.map_array(time.sleep, [0, 100])
    lsf.wait(lambda each: each.tasks()[1]["phase"] == "running")
    second.cancel()
    assert first.result() is None
    with pytest.raises(UncompletedJobError, match="has not produced any output"):
        second.result()


def test_asked_to_end_it_saves_itself_and_goes_on(executor: LsfExecutor, lsf: Cluster, tmp_path: Path) -> None:
    """On LSF's signal of a time limit the call is saved, the job requeued by itself, and done the second time."""
    [job, _] = executor.submit_array([Counted(tmp_path), lambda: None])
    until((tmp_path / "starts").exists)
    job._interrupt(timeout=True)
    assert job.result() == "a checkpoint"
    assert (tmp_path / "starts").read_text().splitlines() == ["nothing", "a checkpoint"]
    assert [job["id"] for job in lsf.jobs()] == [101]


def test_a_time_limit_of_lsf_itself(executor: LsfExecutor, lsf: Cluster, tmp_path: Path) -> None:
    lsf.switch(minute_s=4)
    executor.update_parameters(timeout_min=1)
    job = executor.submit(Counted(tmp_path))
    assert job.result() == "a checkpoint"


def test_a_suspended_job_is_not_done_and_one_that_nobody_knows_is(executor: LsfExecutor, lsf: Cluster) -> None:
    job = executor.submit(time.sleep, 100)
    lsf.wait(lambda each: each.tasks()[0]["phase"] == "running")
    lsf.pretend("SSUSP")
    assert not job.done(force_check=True)
    assert job.state == "SUSPENDED"
    lsf.switch(down="fail")
    assert not job.done(force_check=True)
    lsf.switch(down="", forget_s=0)
    job.cancel()
    lsf.wait(Cluster.has_ended)
    assert job.done(force_check=True)


def test_submitit_finds_the_plugin_by_its_name(executor: LsfExecutor, tmp_path: Path) -> None:
    auto = submitit.AutoExecutor(tmp_path / "auto", cluster="lsf")
    auto.update_parameters(
        name="auto", timeout_min=90, mem_gb=0.5, cpus_per_task=2, gpus_per_node=0, lsf_queue="short", nodes=1
    )
    job = auto.submit(add, 2, 2)
    assert job.result() == 4
    script = job.paths.submission_file.read_text()
    for line in ("-J auto", "-W 90", "-M 524288", '-R "rusage[mem=512] span[hosts=1]"', "-n 2", "-q short"):
        assert f"#BSUB {line}\n" in script
    with pytest.raises(ValueError, match="one machine"):
        auto.update_parameters(nodes=2)
    with pytest.raises(NameError, match="lsf_quue"):
        auto.update_parameters(lsf_quue="short")


def test_what_cannot_be_submitted_says_why(executor: LsfExecutor) -> None:
    executor.update_parameters(queue="nosuch")
    with pytest.raises(Exception, match="nosuch: No such queue"):
        executor.submit(add, 1, 1)
    with pytest.raises(ValueError, match="cpus_per_taks"):
        executor.update_parameters(cpus_per_taks=2)


def test_index_0_is_no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSB_JOBID", "202")
    monkeypatch.setenv("LSB_JOBINDEX", "0")
    environment = LsfJobEnvironment()
    assert (environment.job_id, environment.array_task_id, environment.num_tasks) == ("202", None, 1)
    monkeypatch.setenv("LSB_JOBINDEX", "7")
    assert (environment.job_id, environment.array_job_id, environment.global_rank) == ("202_7", "202", 0)
    monkeypatch.setenv("LSB_HOSTS", "n1 n1 n2")
    assert environment.hostnames == ["n1", "n2"]
    assert "202_7" in repr(environment)


def test_without_bsub_there_is_no_lsf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert LsfExecutor.affinity() == -1
    with pytest.raises(RuntimeError, match="bsub"):
        LsfExecutor(tmp_path)
