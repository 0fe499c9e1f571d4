"""python killed.py FOLDER N_KILLS: kill -9, at random moments, processes that write to one store; say what came of it.

The processes are forked from this one, so that a kill costs milliseconds and many land in the middle of a write.
Each writes, for every point, when it starts computing it (started), and after run() returned, which points it was
told are done (reported). All times are of the one clock that the processes share.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from light import lines, note

from gridrun import cachable, explain, run, split
from gridrun.provenance import circumstances
from gridrun.store import Store

POINTS_PER_S = 150  # how fast the points that all of them want move on
WINDOW = 40
BEGIN = time.monotonic()
STORE = STARTED = REPORTED = PROBLEMS = ""
AT_ONCE = 4


@cachable()
def work(x: int) -> dict[str, Any]:
    """A result whose every byte follows from x; each ninth is large enough for a file of its own."""
    note(STARTED, f"{x} {os.getpid()} {time.monotonic_ns()}")
    time.sleep(0.001 * (x % 7))
    return expected(x)


def expected(x: int) -> dict[str, Any]:
    return {"x": x, "text": f"{x}," * (x % 40 if x % 9 else 3000)}


def n_points() -> int:
    """How many points have come into reach."""
    return int((time.monotonic() - BEGIN) * POINTS_PER_S) + WINDOW


def write(seed: float) -> None:
    """Compute, until killed, chunks of the newest points, which the other processes want as well."""
    luck = random.Random(seed)
    while True:
        n = n_points()
        chunk = luck.sample(range(n - WINDOW, n), luck.choice([1, 5, 20, WINDOW]))
        results = run(split([{}], "x", chunk), work, cache_dir=STORE, n_threads=luck.choice([1, 1, 2]))("{x}")
        assert results == [expected(x) for x in chunk]
        note(REPORTED, " ".join(map(str, chunk)))


def reported() -> set[int]:
    return {int(word) for line in lines(REPORTED) for word in line.split()}


def fork(job: Any, *arguments: Any) -> int:
    """Do a job in a child process; the child's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        job(*arguments)
        status = 0
    except BaseException as error:
        note(PROBLEMS, f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


def check() -> None:
    """With fresh eyes: everything reported is there, and everything that is there is right."""
    done = sorted(reported())
    grid = split([{}], "x", done)
    assert run(grid, work, cache_dir=STORE, run_mode="load")("{x}") == [expected(x) for x in done]
    grid = split([{}], "x", range(n_points()))
    everything = run(grid, work, cache_dir=STORE, run_mode="load_any", store_key="r")("{x}")
    wrong = [point["x"] for point in everything if point["r"] != expected(point["x"])]
    assert wrong == []


def tidy() -> None:
    """gc, while the others work."""
    Store(Path(STORE)).collect(dry_run=False)


def finish(n: int) -> None:
    grid = split([{}], "x", range(n))
    assert run(grid, work, cache_dir=STORE)("{x}") == [expected(x) for x in range(n)]
    note(REPORTED, " ".join(map(str, range(n))))


def warm_up() -> None:
    """Find out here what is the same for all children, so that they come to the point at once."""
    explain([{"x": 0}], work, cache_dir=f"{STORE} of nobody")("{x}")
    circumstances(str(Path(__file__).parent))


def torture(n_kills: int) -> dict[int, int]:
    """Kill `n_kills` writers, several at a time; when each was killed, by process id."""
    killed_at: dict[int, int] = {}
    luck = random.Random(n_kills)
    alive: list[int] = []
    while len(killed_at) < n_kills:
        while len(alive) < AT_ONCE:
            alive.append(fork(write, luck.random()))
        time.sleep(luck.uniform(0.0, 0.12))
        victim = alive.pop(luck.randrange(len(alive)))
        killed_at[victim] = time.monotonic_ns()
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        if len(killed_at) % 20 == 0:
            os.waitpid(fork(tidy), 0)
            os.waitpid(fork(check), 0)
    for child in alive:
        killed_at[child] = time.monotonic_ns()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return killed_at


def computed_twice(killed_at: dict[int, int]) -> list[str]:
    """Points computed again although whoever computed them before was not killed before that."""
    starts = defaultdict(list)
    for line in lines(STARTED):
        x, pid, at = map(int, line.split())
        starts[x].append((at, pid))
    bad = []
    for x, events in starts.items():
        events.sort()
        for (_, earlier), (at, _) in zip(events, events[1:]):
            if killed_at.get(earlier, sys.maxsize) > at:
                bad.append(f"{x} of {earlier}")
    return bad


def main(folder: str, n_kills: int) -> None:
    global STORE, STARTED, REPORTED, PROBLEMS
    STORE, STARTED, REPORTED, PROBLEMS = (f"{folder}/{name}" for name in ("store", "started", "reported", "problems"))
    warm_up()
    killed_at = torture(n_kills)
    before_the_end, n = len(reported()), n_points()
    for job, arguments in ((check, ()), (finish, (n,)), (check, ())):
        os.waitpid(fork(job, *arguments), 0)
    executions = lines(STARTED)
    damage = [d.what for d in Store(Path(STORE)).verify()]
    print(
        json.dumps(
            {
                "kills": len(killed_at),
                "problems": lines(PROBLEMS),
                "computed_twice": computed_twice(killed_at),
                "executions": len(executions),
                "points": n,
                "reported_by_the_killed": before_the_end,
                "damage": [what for what in damage if "torn end" not in what],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
