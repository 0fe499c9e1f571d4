"""Rows of the published ResNet20 campaign again, on all 10,000 images, by the exact engine, beside what was published.

    GRIDRUN_DATA=... python -m benchmarks.replay [--seed 0] [-n_threads 2]
    GRIDRUN_DATA=... python -m benchmarks.replay --elsewhere 594,1546     these rows in other arithmetic, minutes each

Which rows: see `chosen`. Counts are kept in sessions/: killed, it goes on where it was. Writes benchmarks/REPLAY.md;
the exit status says whether every row is as near as promised.
Masked counts are shown, not judged: the published campaign ran on a GPU whose TF32 multiplies with 10 bits of mantissa,
so that a fault in the bits below has no effect there.
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gridrun import ensure, run
from gridrun.commands._bar import Bar
from gridrun.data import test_images
from gridrun.faults import fault_list
from gridrun.faults.bits import tf32
from gridrun.faults.injection import faulty_weight, injected, layer_shapes, weight_of
from gridrun.faults.naive import logits_of
from gridrun.faults.verdicts import Counts, counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo
from gridrun.tasks.campaign import ARGUMENTS, fault_counts, published_network
from gridrun.tasks.stored_blocks import planned, totals

from . import machine

PAGE = Path(__file__).with_name("REPLAY.md")
NAMED = (2, 2427, 9186, 15050, 15482)  # bit 30: 9071, 8915, 8920, 8965, 8971 critical of 10,000
GROUPS = ((30,), (30,), (26, 27, 28, 29, 31), tuple(range(20, 26)), tuple(range(20)))  # of bits: a row of each a layer
WITHIN, WITHIN_BIT_30 = 2, 1
N_IMAGES = 10_000


class Row(NamedTuple):
    """A row of the published list, by its number there, and both counts."""

    number: int
    fault: WeightFault
    ours: Counts
    theirs: Counts
    is_unseen: bool  # by TF32

    @property
    def apart(self) -> int:
        """Critical images, ours minus published."""
        return self.ours.critical - self.theirs.critical

    @property
    def is_near(self) -> bool:
        return abs(self.apart) <= (WITHIN_BIT_30 if self.fault.bit == 30 else WITHIN)


def chosen(faults: Sequence[WeightFault], seed: int) -> list[int]:
    """Numbers of rows: NAMED, and of every layer two of bit 30, one of bits 26 to 31, of 20 to 25, of 0 to 19.

    Drawn without replacement; a layer that has no row left in a group gives none.
    """
    draw, found = random.Random(seed), list(NAMED)
    for layer in dict.fromkeys(f.layer for f in faults):
        for bits in GROUPS:
            left = [n for n, f in enumerate(faults) if f.layer == layer and f.bit in bits and n not in found]
            found += draw.sample(left, min(1, len(left)))
    return sorted(found)


def is_unseen(model: nn.Module, fault: WeightFault) -> bool:
    """Whether the faulty weight, rounded to TF32, is the clean one, rounded to TF32."""
    weight = weight_of(model, fault.layer).detach()
    return bool(tf32(faulty_weight(weight, fault)) == tf32(weight[fault.index].clone()))


def published(folder: Path) -> tuple[nn.Module, fault_list.FaultList]:
    """The network and its list, with counts."""
    model = zoo.load_weights(zoo.network("ResNet20"), folder / "weights" / "ResNet20.th")
    return model, fault_list.read(folder / "fault_lists" / "ResNet20_FL.csv", layer_shapes(model))


def replayed(
    folder: Path, choose: Callable[[Sequence[WeightFault]], list[int]], n_threads: int = 1
) -> tuple[list[Row], dict[str, str]]:
    """The rows that `choose` picks from the list, and how their counts came about; stored, so that it can go on."""
    model, listed = published(folder)
    numbers = choose(listed.faults)
    faults = [listed.faults[n] for n in numbers]
    point = published_network("ResNet20", "cifar10", folder / "weights" / "ResNet20.th", folder)
    grid = planned(point, faults, N_IMAGES)
    begin = time.monotonic()
    with Bar(f"{len(faults)} rows", len(grid), "blocks") as bar:
        options = {"n_threads": n_threads, "backend": "processes", "progress": lambda n_done, _: bar.to(n_done)}
        states = ensure(grid, fault_counts, **options)(*ARGUMENTS)
    seconds = time.monotonic() - begin
    results = run(grid, fault_counts, run_mode="load")(*ARGUMENTS)
    ours, theirs = totals(grid, results, faults), listed.counts or []
    rows = [Row(n, f, ours[i], theirs[n], is_unseen(model, f)) for i, (n, f) in enumerate(zip(numbers, faults))]
    n_now = sum(state.state == "done" for state in states)
    ways = dict.fromkeys(way for result in results for way in result["report"]["layers"].values())
    return rows, {
        "time": f"{seconds:.0f} s for {n_now} of {len(grid)} blocks, the others were stored",
        "ways": ", ".join(ways),
        "processes": f"{n_threads} of one thread",
    }


def verdict(rows: Sequence[Row]) -> list[str]:
    """What came out, in sentences."""
    top = [row for row in rows if row.fault.bit == 30]
    unseen = [row for row in rows if row.is_unseen and row.fault.layer.startswith("layer3")]
    others = [row for row in rows if row not in unseen]
    within = [sum(abs(row.apart) <= n for row in rows) for n in range(3)]
    masked = sum(row.theirs.masked == row.theirs.n_injections for row in unseen)
    equal = sum(row.ours.masked == row.theirs.masked for row in others)
    answer = "Every row is as near as promised" if all(row.is_near for row in rows) else "**Not every row is near**"
    return [
        f"{answer}: critical within {WITHIN} images of 10,000, within {WITHIN_BIT_30} on bit 30.",
        f"- {len(rows)} rows: critical equal on {within[0]}, within 1 on {within[1]}, within 2 on {within[2]}.",
        f"- {len(top)} rows of bit 30: apart by {max(abs(row.apart) for row in top)} at most.",
        f"- {len(unseen)} rows of layer3 whose weight is the same after rounding to TF32: {masked} of them were "
        "published as masked for every image, as that rounding says.",
        f"- {len(others)} other rows: masked equal on {equal}; it depends on the arithmetic and is not judged.",
    ]


def page(rows: Sequence[Row], facts: dict[str, str], rule: str) -> str:
    lines = ["# Published rows, again\n", "Written by `python -m benchmarks.replay`.\n", *verdict(rows), "", rule, ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    columns = (
        "row",
        "layer",
        "index",
        "bit",
        "critical, ours",
        "published",
        "apart",
        "masked, ours",
        "published",
        "TF32",
    )
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for number, fault, ours, theirs, unseen in rows:
        apart = f"{ours.critical - theirs.critical:+d}" if ours.critical != theirs.critical else "0"
        cells = [number, fault.layer, fault.index, fault.bit, ours.critical, theirs.critical, apart]
        cells += [ours.masked, theirs.masked, "unseen" if unseen else ""]
        lines += ["| " + " | ".join(map(str, cells)) + " |"]
    return "\n".join(lines) + "\n"


def elsewhere(folder: Path, numbers: Sequence[int], n_images: int = N_IMAGES) -> Iterator[dict[str, int]]:
    """Critical images of rows by the plain loop in other arithmetic: channels last, and double precision."""
    model, listed = published(folder)
    images = test_images("cifar10", folder)[0][:n_images]
    ways = {"float32": {}, "channels last": {"memory_format": torch.channels_last}, "double": {"dtype": torch.double}}
    golden: dict[str, Tensor] = {}
    for number in numbers:
        found = {"row": number, "published": (listed.counts or [])[number].critical}
        with injected(model, listed.faults[number]):
            faulty = copy.deepcopy(model)
        for name, way in ways.items():
            x = images.to(**way)
            if name not in golden:
                golden[name] = logits_of(copy.deepcopy(model).to(**way), x, 64)
            found[name] = counts(golden[name], logits_of(copy.deepcopy(faulty).to(**way), x, 64)).critical
        yield found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n_threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--elsewhere", metavar="ROW,ROW", help="Only these rows, in other arithmetic, on the terminal.")
    options = parser.parse_args()
    folder = Path(os.environ.get("GRIDRUN_DATA", ""))
    if not (folder / "fault_lists" / "ResNet20_FL.csv").is_file():
        print("needs the published list, weights and CIFAR-10: set GRIDRUN_DATA to their folder", file=sys.stderr)
        return 2
    if options.elsewhere:
        for found in elsewhere(folder, [int(number) for number in options.elsewhere.split(",")]):
            print(", ".join(f"{name} {value}" for name, value in found.items()), flush=True)
        return 0
    before = machine.load()
    rows, how = replayed(folder, partial(chosen, seed=options.seed), options.n_threads)
    rule = (
        f"The rows: {', '.join(map(str, NAMED))}, and of every layer, drawn with seed {options.seed}, two of bit "
        "30, one of bits 26 to 29 and 31, one of bits 20 to 25, one of bits 0 to 19. Apart: ours minus published. "
        "unseen: the faulty weight is the clean one after rounding to TF32."
    )
    PAGE.write_text(page(rows, {**machine.facts(before), **how}, rule), encoding="utf-8")
    print("\n".join(verdict(rows)))
    return 0 if all(row.is_near for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
