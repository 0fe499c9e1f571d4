"""How fast accuracy under mismatch is measured, by several ways in turn on the same draws, their numbers compared.

    python -m benchmarks.mismatch_evaluation [digits_cnn cnn lsnn] [--rounds 3] [--note "what else ran"]

The paper's CNN takes part where GRIDRUN_DATA holds Fashion-MNIST. One thread unless a way says otherwise; a worker's
start is not counted. Where other programs share the cores, the ratios by processor time say more than those by the
clock on the wall. Writes benchmarks/MISMATCH.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import machine
from .clock import Lap, lap
from .mismatch_ways import CASES, N_WORKERS, is_here, setting, ways

PAGE = Path(__file__).with_name("MISMATCH.md")
LOOP = "loop"
COLUMNS = ("way", "networks a second, median", "times the loop (each round)", "by processor time", "accuracies")


@dataclass(frozen=True)
class Measured:
    """Of one way: seconds a network in each round, how its accuracies compare with the loop's; whether the seconds of
    this process's processors are all that it took."""

    laps: list[Lap]
    numbers: str
    is_one_process: bool = True


def measure(name: str, n_rounds: int) -> dict[str, Measured]:
    """Every way of a case in turn, round after round."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(N_WORKERS, mp_context=spawn) as pool:
        laps: dict[str, list[Lap]] = {}
        found: dict[str, np.ndarray] = {}
        for number in range(n_rounds + 1):  # the first round prepares: imports, prepared data, workers
            for way, run in ways(name, pool).items():
                (wall, cpu), found[way] = lap(run)
                n = n_networks(name, way)
                laps.setdefault(way, []).append(Lap(wall / n, cpu / n))
            print(f"{name}: round {number} of {n_rounds}", file=sys.stderr, flush=True)
    n_images = len(setting(name)[2])
    return {
        way: Measured(of[1:], agreement(found[way], found[LOOP], n_images), "workers" not in way)
        for way, of in laps.items()
    }


def n_networks(name: str, way: str) -> int:
    """How many networks a way runs through the test images."""
    return CASES[name].n_few if way.startswith("the original") else CASES[name].n_draws


def agreement(found: np.ndarray, loop: np.ndarray, n_images: int) -> str:
    """How accuracies of the first draws compare with the loop's.

    >>> agreement(np.array([0.5, 0.6]), np.array([0.5, 0.61, 0.7]), 100)
    'apart by 1 image of 100 at most'
    """
    apart = round(float(np.abs(found - loop[: len(found)]).max()) * n_images)
    return "the same" if apart == 0 else f"apart by {apart} image{'s' * (apart > 1)} of {n_images} at most"


def table(measured: Mapping[str, Measured]) -> list[str]:
    """The rows of one case, as ratios of each round."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for way, of in measured.items():
        wall = times([one.wall for one in of.laps], [one.wall for one in measured[LOOP].laps])
        cpu = times([one.cpu for one in of.laps], [one.cpu for one in measured[LOOP].laps])
        rate = statistics.median(1 / one.wall for one in of.laps)
        lines.append(f"| {way} | {rate:.3g} | {wall} | {cpu if of.is_one_process else ''} | {of.numbers} |")
    return lines


def times(seconds: Sequence[float], loop: Sequence[float]) -> str:
    """How many times as fast as the loop: the median and each round.

    >>> times([2.0, 1.0, 1.0], [1.0, 1.0, 3.0])
    '1.00 (0.50, 1.00, 3.00)'
    """
    ratios = [theirs / own for own, theirs in zip(seconds, loop, strict=True)]
    return f"{statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def page(cases: Mapping[str, Mapping[str, Measured]], facts: Mapping[str, str]) -> str:
    """All of it as Markdown; `cases` by their headings."""
    lines = ["# Accuracy under mismatch: networks per second", ""]
    lines += [
        "Written by `python -m benchmarks.mismatch_evaluation`; the ways are described in `mismatch_ways.py`.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    for heading, measured in cases.items():
        lines += ["", f"## {heading}", "", *table(measured)]
    return "\n".join(lines) + "\n"


def heading(name: str) -> str:
    """A case in words."""
    case, n_images = CASES[name], len(setting(name)[2])
    return f"{case.name}: {n_images:,} test samples, {case.n_draws} draws, {case.n_few} of them by the original's way"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mismatch_evaluation")
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    torch.set_num_threads(1)
    before, found = machine.load(), {}
    for name in options.cases:
        if is_here(name):
            found[heading(name)] = measure(name, options.rounds)
        else:
            print(f"{name} is left out: GRIDRUN_DATA is not set", file=sys.stderr)
    facts = {**machine.facts(before), "rounds": str(options.rounds)}
    text = page(found, facts | ({"note": options.note} if options.note else {}))
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
