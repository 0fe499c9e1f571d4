"""How fast a fault campaign runs, by several ways on the same faults and images, their counts compared.

    python -m benchmarks.faults [--faults 300] [--few 12] [--images 256] [--rounds 3] [--device cpu] [--clock wall]

A proportional sample of ResNet20's faults on CIFAR-10 where GRIDRUN_DATA holds its images, weights and published list;
else on images of noise. The slow ways take the first `few` faults of the sample, for which the ways take turns, and
ours all of them: its time for the few would be mostly its start. Writes benchmarks/FAULTS.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from gridrun import data
from gridrun.faults import fault_list
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo
from gridrun.training.seeding import generator

from . import machine
from .fault_ways import WAYS

PAGE = Path(__file__).with_name("FAULTS.md")
OURS = "gridrun, exact"
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}  # the latter on a busy machine, with one thread
TARGETS = {"naive loop": 4.5, "PyTorchFI's way": 4.5, "SFIadvancedmodels' way": 7.0}


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


def timed(way: str, setup: tuple, faults: list[WeightFault], clock: str) -> tuple[float, list[Counts]]:
    """(inferences a second, counts); an inference is one fault on one image."""
    model, images, labels = setup
    begin = CLOCKS[clock]()
    found = WAYS[way](model, images, labels, faults)
    return len(faults) * len(images) / (CLOCKS[clock]() - begin), found


def page(speeds: dict[str, list[float]], equal: dict[str, bool], facts: dict[str, str]) -> str:
    """The table, as ratios of each round."""
    lines = ["# Fault campaigns: inferences per second\n", "Written by `python -m benchmarks.faults`.\n"]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| way | inferences/s, median | ours is faster by (each round) | target | as naive |"]
    lines += ["|---|---|---|---|---|"]
    for way, rates in speeds.items():
        ratios = [ours / rate for ours, rate in zip(speeds[OURS], rates, strict=True)]
        many = "" if way == OURS else f"{statistics.median(ratios):.1f}x ({', '.join(f'{r:.1f}' for r in ratios)})"
        target = f"{TARGETS[way]}x" if way in TARGETS else ""
        same = "equal counts" if equal[way] else "**not equal**"
        lines += [f"| {way} | {statistics.median(rates):.0f} | {many} | {target} | {same} |"]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--few", type=int, default=12)
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
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    first: dict[str, list[Counts]] = {}
    for _ in range(options.rounds):
        for way in WAYS:
            rate, found = timed(way, setup, faults if way == OURS else faults[: options.few], options.clock)
            speeds[way].append(rate)
            first.setdefault(way, found[: options.few])
            print(f"{way}: {rate:.0f} inferences/s", file=sys.stderr, flush=True)
    what = f"ResNet20, {origin}; {len(faults)} faults drawn from the published list ({options.few} for the slow ways)"
    facts = {**machine.facts(before), "threads": str(torch.get_num_threads()), "device": options.device, "what": what}
    facts |= {"images": str(len(images)), "rounds": str(options.rounds), "clock": options.clock}
    text = page(speeds, {way: first[way] == first["naive loop"] for way in WAYS}, facts)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
