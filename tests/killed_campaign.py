"""python killed_campaign.py FOLDER N_KILLS: kill -9 two processes that run one fault campaign; say what came of it.

The processes are forked from this one. Each notes every block that it begins and ends; between two kills another one
notes which blocks are stored.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fault_points
from light import lines, note

from gridrun import ensure, explain, run, work
from gridrun.faults.campaign import Campaign
from gridrun.provenance import circumstances
from gridrun.tasks.campaign import ARGUMENTS, fault_counts, row_of
from gridrun.tasks.stored_blocks import planned, totals

N_FAULTS, BLOCK, CHUNK = 60, 5, 30


class Journal:
    """Notes on blocks: `begun` and `ended` by process, `stored` by onlookers; each with the time."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def note(self, what: str, block: str) -> None:
        note(f"{self.folder}/{what}", f"{time.monotonic_ns()} {os.getpid()} {block}")

    def read(self, what: str) -> list[tuple[int, int, str]]:
        parts = [line.split(" ", 2) for line in lines(f"{self.folder}/{what}")]
        return [(int(at), int(pid), block) for at, pid, block in parts]


def told(journal: Journal) -> None:
    """Have every block noted, in this process and those forked from it."""
    real: Callable[..., Iterator[Any]] = Campaign.counts

    def counts(campaign: Campaign, faults: Iterable[Any]) -> Iterator[Any]:
        listed = list(faults)
        block = f"{row_of(listed[0])} {float(campaign.images.sum()):.9g}"
        journal.note("begun", block)
        yield from real(campaign, listed)

    Campaign.counts = counts  # type: ignore[method-assign]


class Torture:
    """One campaign in a store."""

    def __init__(self, folder: str, n_images: int) -> None:
        self.folder, self.n_images = folder, n_images
        self.point = fault_points.network(Path(folder) / "network")
        self.faults = fault_points.faults(self.point, N_FAULTS)
        self.journal = Journal(folder)

    def grid(self, store: str, n_faults: int = N_FAULTS) -> list[dict[str, Any]]:
        place = f"{self.folder}/{store}"
        return planned(self.point, self.faults[:n_faults], self.n_images, block=BLOCK, chunk=CHUNK, cache_dir=place)

    def compute(self, store: str, n_threads: int = 1, n_faults: int = N_FAULTS) -> None:
        options = {"n_threads": n_threads, "backend": "processes"} if n_threads > 1 else {}
        place = f"{self.folder}/{store}"
        states = ensure(self.grid(store, n_faults), fault_counts, cache_dir=place, **options)(*ARGUMENTS)
        assert {state.state for state in states} <= {"done", "cached"}, states

    def look(self) -> None:
        """Note how many blocks are stored; those must not begin again."""
        grid = self.grid("store")
        states = explain(grid, fault_counts, cache_dir=f"{self.folder}/store")(*ARGUMENTS)
        for point, state in zip(grid, states):
            if state.state == "cached":
                self.journal.note("stored", f"{point['faults'][0]} {float(pictures(self.point, point).sum()):.9g}")

    def counts(self, store: str) -> list[tuple[int, ...]]:
        grid = self.grid(store)
        results = run(grid, fault_counts, run_mode="load", cache_dir=f"{self.folder}/{store}")(*ARGUMENTS)
        return [tuple(counted) for counted in totals(grid, results, self.faults)]


def pictures(network: dict[str, Any], point: dict[str, Any]) -> Any:
    from gridrun.tasks import settings

    return settings.splits(network["model"]).test[0][slice(*point["images"])]


def fork(job: Callable[..., None], *arguments: Any) -> int:
    """Do a job in a child process; the child's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        job(*arguments)
        status = 0
    finally:
        os._exit(status)


def main(folder: str, n_kills: int) -> None:
    import torch

    torch.set_num_threads(1)
    work.FLUSH_S = 0.0  # every block at once, so that kills find stored ones, and land in the writing
    torture = Torture(folder, n_images=min(20 * n_kills, 360))
    torture.compute("warm", n_faults=2)  # what is the same for all children is imported and read here
    told(torture.journal)
    circumstances(str(Path(__file__).parent))
    luck, killed_at = random.Random(n_kills), {}
    alive: list[int] = []
    while len(killed_at) < n_kills:
        alive += [fork(torture.compute, "store") for _ in range(2 - len(alive))]
        n_begun = len(lines(f"{folder}/begun"))
        until = time.monotonic() + 20
        while len(lines(f"{folder}/begun")) < n_begun + luck.choice([0, 2, 4, 6]) and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(luck.uniform(0, 0.05))
        victim = alive.pop(luck.randrange(2))
        killed_at[victim] = time.monotonic_ns()
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        if len(killed_at) % 4 == 0:
            os.waitpid(fork(torture.look), 0)
    for child in alive:
        killed_at[child] = time.monotonic_ns()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    torture.look()
    n_stored = len({block for _, _, block in torture.journal.read("stored")})
    statuses = [os.waitpid(fork(torture.compute, "store"), 0)[1], os.waitpid(fork(torture.compute, "store"), 0)[1]]
    n_begun = len(torture.journal.read("begun"))
    torture.compute("unbroken", n_threads=2 if n_kills > 10 else 1)
    print(
        json.dumps(
            {
                "n_stored_by_the_killed": n_stored,
                "n_blocks": len(torture.grid("nowhere")),
                "statuses": statuses,
                "n_begun": n_begun,
                "killed_at": killed_at,
                "begun": torture.journal.read("begun")[:n_begun],
                "stored": torture.journal.read("stored"),
                "counts": torture.counts("store"),
                "unbroken": torture.counts("unbroken"),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
