"""Processes: workers side by side, several runs at once, owners that die, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import light
import programs
import pytest

from gridrun import Failed, NotComputed, cachable, open_store, run, split
from gridrun.dispatch.local import cores_per_worker


def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something holds; what it then gives. Raises AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


# ------------------------------------------------------------------------------------------------------------- workers
def test_processes_give_the_same_as_one_by_one(tmp_path: Path) -> None:
    grid = split([{}], "a", [*range(1, 25), 3, 5])
    alone = run(grid, light.summary, cache_dir=tmp_path / "1", store_key="*")("{a}")
    beside = run(
        grid, light.summary, n_threads=2, backend="processes", cache_dir=tmp_path / "2", store_key="*"
    )("{a}")  # fmt: skip
    assert str(alone) == str(beside)
    assert len({id(point["array"]) for point in beside}) == 26
    assert str(run(grid, light.summary, cache_dir=tmp_path / "2", run_mode="load", store_key="*")("{a}")) == str(alone)
    assert run(grid, light.square, n_threads=2, backend="processes")("{a}") == [p["a"] ** 2 for p in grid]


def test_a_function_made_on_the_spot_travels_too() -> None:
    k = 5

    @cachable()
    def times(x: int) -> int:
        return k * x

    grid = split([{}], "a", range(4))
    assert run(grid, times, n_threads=2, backend="processes")("{a}") == [0, 5, 10, 15]
    assert run(grid, times, run_mode="load")("{a}") == [0, 5, 10, 15]


def test_each_worker_has_its_share_of_the_cores() -> None:
    share = str(cores_per_worker(2))
    assert run([{"a": 1}], light.threads_of_libraries, n_threads=2, backend="processes")("{a}") == [[share] * 3]


def test_trouble_and_death_fail_their_points_only(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    names = ["first", *light.TROUBLES, "between", *light.DEATHS, *(f"other {n}" for n in range(20))]
    grid = split([{"log": log}], "x", names)
    results = run(grid, light.troubled, on_error="store", n_threads=2, backend="processes")("{x}", "{log}")
    for name, result in zip(names, results):
        if name in light.TROUBLES:
            assert isinstance(result, Failed) and result.error == light.TROUBLES[name][1]
        elif name in light.DEATHS:
            assert isinstance(result, Failed) and result.error == "WorkerDied"
            assert "ended without a result" in result.message
        else:
            assert result == name
    killed = results[names.index("kill -9")]
    assert "out of memory" in killed.message
    executions = Counter(light.lines(log))
    assert {name for name, n in executions.items() if n > 2} == set()  # at most once more, alone, to find the cause
    stored = {r.dependencies["x"]: r.state for r in open_store().records("troubled")}
    assert stored == {n: "failed" if n in light.TROUBLES or n in light.DEATHS else "done" for n in names}


def test_the_death_of_a_worker_is_raised_with_the_count() -> None:
    grid = split([{}], "x", ["one", "os._exit", "two"])
    with pytest.raises(RuntimeError, match="ended without a result"):
        run(grid, light.troubled, n_threads=2, backend="processes")("{x}")
    assert run(split([{}], "x", ["one", "two"]), light.troubled, run_mode="load")("{x}") == ["one", "two"]


# ---------------------------------------------------------------------------------------------------- several at once
RUNNER = """
    import sys
    sys.path.insert(0, TESTS)
    import light
    from gridrun import run, split
    folder, log, n, seconds, wait_s = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
    grid = split([{"log": log, "s": seconds}], "a", range(int(n)))
    options = {"wait_s": wait_s} if wait_s else {}
    options.update(dict(word.split("=") for word in sys.argv[6:]))
    options["n_threads"] = int(options.get("n_threads", 1))
    print("ready", flush=True)
    try:
        print(run(grid, light.slow, cache_dir=folder, **options)("{a}", "{log}", "{s}"), flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
    """


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    return programs.write(tmp_path / "runner.py", RUNNER.replace("TESTS", repr(str(Path(__file__).parent))))


def executed(log: Path) -> list[str]:
    return [line.split()[1] for line in light.lines(log) if line.startswith("start")]


def slow_grid(log: Path, n: int, seconds: float) -> list[dict[str, Any]]:
    return split([{"log": str(log), "s": float(seconds)}], "a", range(n))


def test_four_processes_that_run_the_same_three_points_execute_three(tmp_path: Path, runner: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    running = [programs.start(runner, store, log, 3, 0.3, 0) for _ in range(4)]
    outputs = [program.communicate(timeout=120) for program in running]
    assert [out.splitlines()[-1:] for out, _ in outputs] == [["[0, 1, 2]"]] * 4, outputs[0][1]
    assert sorted(executed(log)) == ["0", "1", "2"]


def test_three_processes_share_sixty_points_between_them(tmp_path: Path, runner: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    running = [programs.start(runner, store, log, 60, 0.02, 0) for _ in range(3)]
    outputs = [program.communicate(timeout=120)[0] for program in running]
    assert [out.splitlines()[-1] for out in outputs] == [str(list(range(60)))] * 3
    assert sorted(map(int, executed(log))) == list(range(60))


def test_a_run_waits_for_a_living_owner_and_takes_its_results(tmp_path: Path, runner: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    program = programs.start(runner, store, log, 2, 0.7, 0)
    until(lambda: executed(log))
    assert run(slow_grid(log, 2, 0.7), light.slow, cache_dir=store)("{a}", "{log}", "{s}") == [0, 1]
    assert program.communicate(timeout=60)[0].splitlines()[-1] == "[0, 1]"
    assert sorted(executed(log)) == ["0", "1"]


def test_waiting_ends_after_wait_s_and_names_the_owner(tmp_path: Path, runner: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    program = programs.start(runner, store, log, 1, 60, 0)
    until(lambda: executed(log))
    with pytest.raises(NotComputed, match=rf"1 points are being computed by process {program.pid} on .*wait_s="):
        run(slow_grid(log, 1, 60), light.slow, cache_dir=store, wait_s=0.3)("{a}", "{log}", "{s}")
    (claim,) = open_store(store).live_claims()
    assert (claim.owner.pid, claim.what, len(claim.keys)) == (program.pid, "slow", 1)
    program.kill()
    program.communicate()
    assert open_store(store).live_claims() == []


def test_a_dead_owners_points_are_taken_over_while_waiting(tmp_path: Path, runner: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    program = programs.start(runner, store, log, 3, 1.0, 0)
    until(lambda: len(executed(log)) == 2)  # the first is done, the second is being computed
    other = programs.start(runner, store, log, 3, 1.0, 0)
    until(lambda: other.stdout and other.stdout.readline())
    program.kill()
    program.communicate()
    out, errors = other.communicate(timeout=60)
    assert out.splitlines()[-1:] == ["[0, 1, 2]"], errors
    assert Counter(executed(log))["0"] == 1 and Counter(executed(log))["1"] == 2


# -------------------------------------------------------------------------------------------------------------- Ctrl-C
def family(session: int) -> list[int]:
    """The living processes of a session (everything that a program started, and itself)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for orphans in /proc")
@pytest.mark.parametrize(
    ("options", "to_all"),
    [(["n_threads=1"], False), (["n_threads=2"], False), (["n_threads=2", "backend=processes"], True)],
    ids=["alone", "threads", "processes"],
)
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_orphans(
    tmp_path: Path, runner: Path, options: list[str], to_all: bool
) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    program = programs.start(runner, store, log, 200, 0.3, 0, *options)
    until(lambda: sum(line.startswith("end") for line in light.lines(log)) >= 3)
    if to_all:
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does
    else:
        os.kill(program.pid, signal.SIGINT)
    out, errors = program.communicate(timeout=60)
    assert (program.returncode, out.splitlines()[-1]) == (130, "interrupted"), errors[-2000:]
    until(lambda: family(program.pid) == [])
    ended = {int(line.split()[1]) for line in light.lines(log) if line.startswith("end")}
    kept = run(slow_grid(log, 200, 0.3), light.slow, cache_dir=store, run_mode="load_any")("{a}", "{log}", "{s}")
    if not to_all:
        assert set(kept) == ended
    else:  # a worker may be stopped between the end of its work and the disk
        assert set(kept) <= ended and len(kept) >= len(ended) - 2
    assert open_store(store).live_claims() == []


def test_after_ctrl_c_the_same_run_goes_on_where_it_was(tmp_path: Path, runner: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "s"
    program = programs.start(runner, store, log, 6, 0.3, 0)
    until(lambda: sum(line.startswith("end") for line in light.lines(log)) >= 2)
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=60)
    assert programs.python(runner, store, log, 6, 0.3, 0).splitlines()[-1] == str(list(range(6)))
    assert sorted(n for n, times in Counter(executed(log)).items() if times > 1) in ([], ["2"], ["3"])
