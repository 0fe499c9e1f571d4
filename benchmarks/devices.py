"""The tables of docs/devices.md: the published ResNet20 in words of few bits and on phase-change memory.

python -m benchmarks.devices [--images 1000]      # two minutes; GRIDRUN_DATA has CIFAR-10 and weights/ResNet20.th
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from gridrun import data
from gridrun.faults.pcm import accuracy_on_pcm
from gridrun.faults.quantization import quantized_accuracy
from gridrun.nn import zoo
from gridrun.nn.batch_norm import parameter_names

BITS = (8, 6, 5, 4, 3)
TIMES = {"25 s": 25.0, "an hour": 3600.0, "a day": 86400.0, "30 days": 2592e3, "a year": 31536e3}
N_PROGRAMMINGS = 4
Setup = tuple[nn.Module, Tensor, Tensor]


def resnet20(folder: str, n_images: int) -> Setup:
    """The network, whose batch normalisation no device holds, and the first test images."""
    model = zoo.network("ResNet20")
    zoo.load_weights(model, Path(folder, "weights", "ResNet20.th"))
    model.spared = parameter_names(model)
    images, labels = data.test_images("cifar10", folder)
    return model.eval(), images[:n_images], labels[:n_images]


def of_few_bits(setup: Setup) -> list[list[str]]:
    """Accuracy in percent with one step a tensor, and one a channel."""
    ways = {"a step a tensor": False, "a step a channel": True}
    found = [
        [f"{100 * quantized_accuracy(*setup, bits, per_channel):.1f}" for bits in BITS] for per_channel in ways.values()
    ]
    return [["bits", *map(str, BITS)], *([name, *cells] for name, cells in zip(ways, found, strict=True))]


def on_memory(setup: Setup) -> list[list[str]]:
    """The lowest and the highest accuracy of some programmings, in percent, at each time after them."""
    rows = [["after programming", *TIMES]]
    for name, is_compensated in {"compensated": True, "not compensated": False}.items():
        found = [
            100 * accuracy_on_pcm(*setup, seconds, N_PROGRAMMINGS, is_compensated=is_compensated)
            for seconds in TIMES.values()
        ]
        rows.append([f"{name}: of {N_PROGRAMMINGS} programmings", *(f"{a.min():.1f} to {a.max():.1f}" for a in found)])
    return rows


def markdown(rows: list[list[str]]) -> str:
    head, *rest = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rest))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="CIFAR-10 test images (default 1000)")
    options = parser.parse_args()
    folder = os.environ.get("GRIDRUN_DATA")
    if not folder:
        sys.exit("set GRIDRUN_DATA to a folder with CIFAR-10 and weights/ResNet20.th")
    torch.set_num_threads(1)
    setup = resnet20(folder, options.images)
    print(markdown(of_few_bits(setup)), markdown(on_memory(setup)), sep="\n\n")


if __name__ == "__main__":
    main()
