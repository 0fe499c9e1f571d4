"""How fast a fault campaign runs, by several ways on the same faults and images, their counts compared.

    python -m benchmarks.faults [--faults 1000] [--few 20] [--images 256] [--rounds 3] [--device cpu] [--clock wall]

A proportional sample of ResNet20's faults on CIFAR-10 where GRIDRUN_DATA holds its images, weights and published list;
else on images of noise. The peers' ways take the first `few` faults of the sample, for which all ways take turns, and
ours all of them: its time for the few would be mostly its start. Beside the times stand the multiplications that each
way does, counted, and what share of them a plain product of matrices does in that time on this machine: the floor
under any way that multiplies as often. Writes benchmarks/FAULTS.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gridrun import data
from gridrun.faults import fault_list
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo
from gridrun.training.seeding import generator

from . import machine
from .fault_ways import PEERS, WAYS

PAGE = Path(__file__).with_name("FAULTS.md")
EXACT, NAIVE = "gridrun, exact", "naive loop"
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}  # the latter on a busy machine, with one thread
TARGETS = {"naive loop": 4.5, "PyTorchFI's way": 4.5, "SFIadvancedmodels' way": 7.0}
COLUMNS = ("way", "inferences/s, median", "times the naive loop (each round)", "exact is faster by", "target")
COLUMNS += ("10^6 multiplications an inference", "of the floor", "counts")
Setup = tuple[nn.Module, Tensor, Tensor]


def setting(n_faults: int, n_images: int) -> tuple[nn.Module, Tensor, Tensor, list[WeightFault], str]:
    """(model, images, labels, faults, where they are from)."""
    model = zoo.network("ResNet20", "cifar10")
    faults = fault_list.published(fault_list.layer_shapes(model))
    order = torch.randperm(len(faults), generator=generator(0, "benchmark"))[:n_faults].tolist()
    faults = [faults[i] for i in order]
    folder = os.environ.get("GRIDRUN_DATA")
    if not folder:
        images = torch.randn(n_images, 3, 32, 32, generator=generator(0, "images"))
        return model, images, torch.zeros(n_images, dtype=torch.long), faults, "noise, weights untrained"
    zoo.load_weights(model, Path(folder, "weights", "ResNet20.th"))
    images, labels = data.test_images("cifar10", folder)
    return model, images[:n_images], labels[:n_images], faults, "CIFAR-10 test images, trained weights"


def timed(way: str, setup: Setup, faults: list[WeightFault], clock: str) -> tuple[float, list[Counts]]:
    """(inferences a second, counts); an inference is one fault on one image."""
    begin = CLOCKS[clock]()
    found = WAYS[way](*setup, faults)
    return len(faults) * len(setup[1]) / (CLOCKS[clock]() - begin), found


def multiplications(way: str, setup: Setup, faults: list[WeightFault]) -> float:
    """Multiplications of convolutions and dense layers an inference, counted while the way runs once more."""
    with FlopCounterMode(display=False) as counter:
        WAYS[way](*setup, faults)
    return counter.get_total_flops() / 2 / (len(faults) * len(setup[1]))


def peak(device: str, clock: str, size: int = 2048) -> float:
    """Multiplications a second of a product of two matrices, the best of ten."""
    a, seconds = torch.randn(size, size, device=device), []
    for _ in range(10):
        begin = CLOCKS[clock]()
        (a @ a).sum().item()
        seconds.append(CLOCKS[clock]() - begin)
    return size**3 / min(seconds)


def agreement(way: str, found: list[Counts], naive: list[Counts], exact: list[Counts]) -> str:
    """How the counts of a way compare: with the naive loop's on the few faults, and with the exact ones on all."""
    if way in PEERS or way == EXACT:
        return "as naive" if found[: len(naive)] == naive else "**not as naive**"
    apart = max(abs(a.critical - b.critical) for a, b in zip(found, exact, strict=True))
    return f"critical apart by {apart} at most from exact"


@dataclass(frozen=True)
class Measured:
    """Of one way: inferences/s in each round, multiplications an inference, what its counts are."""

    rates: list[float]
    work: float
    counts: str


def page(ways: dict[str, Measured], peak_rate: float, facts: dict[str, str]) -> str:
    """The table, as ratios of each round."""
    lines = ["# Fault campaigns: inferences per second\n", "Written by `python -m benchmarks.faults`.\n"]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for way, found in ways.items():
        rate, target = statistics.median(found.rates), f"{TARGETS[way]}x" if way in TARGETS else ""
        cells = [way, f"{rate:,.0f}", times(found.rates, ways[NAIVE].rates)]
        cells += [times(ways[EXACT].rates, found.rates) if way in PEERS else "", target]
        cells += [f"{found.work / 1e6:.2f}", f"{rate * found.work / peak_rate:.0%}", found.counts]
        lines += [f"| {' | '.join(cells)} |"]
    return "\n".join(lines) + "\n"


def times(ours: list[float], theirs: list[float]) -> str:
    """The ratio of two ways' rates, its median and that of each round."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.1f}x ({', '.join(f'{ratio:.1f}' for ratio in ratios)})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        print(f"no device {options.device} here: skipped", file=sys.stderr)
        return 0
    torch.set_num_threads(options.threads)
    before = machine.load()
    model, images, labels, faults, origin = setting(options.faults, options.images)
    setup = (model.to(options.device), images.to(options.device), labels.to(options.device))
    mine = {way: faults[: options.few] if way in PEERS else faults for way in WAYS}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    counts: dict[str, list[Counts]] = {}
    for _ in range(options.rounds):
        for way in WAYS:
            rate, counts[way] = timed(way, setup, mine[way], options.clock)
            rates[way].append(rate)
            print(f"{way}: {rate:.0f} inferences/s", file=sys.stderr, flush=True)
    what = f"ResNet20, {origin}; {len(faults)} faults drawn from the published list ({options.few} for the peers)"
    facts = {**machine.facts(before), "threads": str(torch.get_num_threads()), "device": options.device, "what": what}
    peak_rate = peak(options.device, options.clock)
    facts |= {"images": str(len(images)), "rounds": str(options.rounds), "clock": options.clock}
    facts |= {"floor": f"{peak_rate / 1e9:.0f} 10^9 multiplications/s, of a product of two matrices of 2048 x 2048"}
    ways = {
        way: Measured(
            rates[way],
            multiplications(way, setup, mine[way]),
            agreement(way, counts[way], counts[NAIVE], counts[EXACT]),
        )
        for way in WAYS
    }
    text = page(ways, peak_rate, facts)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
