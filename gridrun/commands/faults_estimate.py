"""gridrun faults estimate: the critical rate of a network to a wanted precision, by as few inferences as that takes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..errors import UsageError
from ..progress import duration
from ._lists import check_folder
from ._network import PATH, Network, device_of, named, on_gpu, placed
from ._screen import FORMATS, show_rows
from .faults_campaign import check_ways
from .faults_sample import kinds_of

if TYPE_CHECKING:
    from ..faults.estimate import State

EPILOG = """\b
Examples:
  gridrun faults estimate -n ResNet20 -d cifar10 --half-width=.002 --confidence=.99
  gridrun faults estimate -n ResNet20 --kinds=stuck0,stuck1 --layers='layer3.*,linear' -o rate.json
  gridrun faults estimate -n ResNet20 --format=bf16 --images=1000 --seed=1

Faults are drawn by groups of bits, each fault with test images of its own, until the interval is narrow enough. What is
measured is kept in sessions/: the same command again goes on where it was, and a narrower one re-uses what there is.
"""
EVERY_S = 5.0  # between two lines of progress where there is no terminal


@click.command("estimate", short_help="The critical rate to a wanted precision.", epilog=EPILOG)
@named
@placed
@on_gpu
@click.option("-half-width", "--half-width", type=float, default=0.002, show_default=True, help="Of the interval.")
@click.option("-confidence", "--confidence", type=float, default=0.99, show_default=True, help="That it holds.")
@click.option("-seed", "--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option(
    "-kinds",
    "--kinds",
    "-kind",
    "--kind",
    default="flip",
    show_default=True,
    metavar="NAME,NAME",
    help="flip, stuck0, stuck1, zero, random.",
)
@click.option("-format", "--format", "fmt", default="fp32", show_default=True, help="Or fp16, bf16, int8.")
@click.option("-layers", "--layers", metavar="NAME,NAME", help="These layers only; * stands for anything.")
@click.option("-images", "--images", type=click.IntRange(1), help="Of the first so many test images.")
@click.option("-table", "--table", "form", type=FORMATS, default="table", help="Of the strata.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Of everything, as JSON.")
def command(
    name: str,
    dataset: str,
    weights: Path | None,
    data_dir: Path | None,
    use_cuda: bool,
    half_width: float,
    confidence: float,
    seed: int,
    kinds: str,
    fmt: str,
    layers: str | None,
    images: int | None,
    form: str,
    output: Path | None,
) -> None:
    """Estimate the share of (fault, image) pairs that are critical, from as few as the wanted interval takes."""
    from ..data import test_images
    from ..faults.estimate import estimate_rate
    from ..faults.injection import layer_shapes
    from ..nn import zoo
    from ..tasks import rate
    from ..tasks.campaign import published_network
    from ..tasks.settings import mendable

    check(half_width, confidence, fmt, output)
    device = device_of(use_cuda)
    network = Network.find(name, dataset, weights, data_dir)
    with mendable():
        model = zoo.load_weights(zoo.network(network.name, network.dataset), network.weights)
        n_there = len(test_images(network.dataset, network.data_dir)[1])
    faults = rate.strata(rate.layers_like(layer_shapes(model), layers), kinds_of(kinds), fmt)
    n_images = min(images or n_there, n_there)
    plan = rate.plan_of(n_images)
    point = published_network(network.name, network.dataset, network.weights, network.data_dir, device)
    measure, telling, looks = rate.Measure(point, fmt), Telling(half_width), []
    begin = time.monotonic()
    try:
        for n_faults, metrics, state in estimate_rate(measure, faults, half_width, confidence, seed, plan):
            looks += [metrics] if metrics else []
            telling.tell(n_faults, sum(state.faults.values()), looks)
    except KeyboardInterrupt:
        click.echo("interrupted: what was measured is kept; start again to go on", err=True)
        raise
    seconds = time.monotonic() - begin
    rows = rate.table(state, faults)
    show_rows([shown(row) for row in rows] if form == "table" else rows, form)
    for line in verdict(looks[-1], confidence, seconds):
        click.echo(line, err=form != "table")
    if output is not None:
        asked = {"half_width": half_width, "confidence": confidence, "seed": seed, "kinds": kinds_of(kinds), "fmt": fmt}
        how = {**asked, "layers": list(next(iter(faults.values())).shapes), "n_images": n_images, "plan": vars(plan)}
        kept = {**found(looks, rows, state, seconds), "network": point, **how, "arithmetic": measure.report}
        write(output, {**kept, "gridrun": __version__})


def check(half_width: float, confidence: float, fmt: str, output: Path | None) -> None:
    """Before anything is computed. Raises UsageError."""
    check_folder(output)
    check_ways(None, fmt, "exact")
    for option, value in (("half-width", half_width), ("confidence", confidence)):
        if not 0 < value < 1:
            raise UsageError(f"--{option}={value:g}: want a number between 0 and 1, such as .002 for 0.2 points")


class Telling:
    """How far an estimate is, on the terminal's error stream: one line, written over on a terminal."""

    def __init__(self, half_width: float) -> None:
        self.half_width, self.shown = half_width, time.monotonic()

    def tell(self, n_faults: int, wanted: int, looks: list[dict[str, float]]) -> None:
        now, is_terminal = time.monotonic(), sys.stderr.isatty()
        if now - self.shown < (0.2 if is_terminal else EVERY_S):
            return
        self.shown = now
        text = progress(n_faults, wanted, looks, self.half_width)
        click.echo(f"\r\033[K{text}" if is_terminal else text, err=True, nl=not is_terminal)


def progress(n_faults: int, wanted: int, looks: list[dict[str, float]], half_width: float) -> str:
    """One line on how far an estimate is.

    >>> progress(300, 1200, [], 0.002)
    '300 of 1,200 faults (pilot)'
    >>> progress(1200, 1500, [{"rate": 0.013, "half_width": 0.0031}], 0.002)
    '1,200 of 1,500 faults: 1.30 -+ 0.31 %, want -+ 0.20'
    """
    text = f"{n_faults:,} of {max(wanted, n_faults):,} faults"
    if not looks:
        return f"{text} (pilot)"
    rate, half = (100 * looks[-1][key] for key in ("rate", "half_width"))
    return f"{text}: {rate:.2f} -+ {half:.2f} %, want -+ {100 * half_width:.2f}"


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table, for people."""
    return {**row, "share": f"{100 * row['share']:.2f} %", "rate": f"{100 * row['rate']:.3f} %"}


def verdict(end: Mapping[str, float], confidence: float, seconds: float) -> list[str]:
    """What was found, and at what price.

    >>> end = {"rate": 0.0128, "low": 0.0109, "high": 0.0147, "half_width": 0.0019}
    >>> print("\\n".join(verdict({**end, "n_faults": 2100, "n_inferences": 3400}, 0.99, 21.3)))
    2,100 faults, 3,400 inferences (21 s)
    critical rate 1.28 %, 1.09 to 1.47 % at 99 % (-+ 0.19 points)
    """
    rate, low, high, half = (100 * end[key] for key in ("rate", "low", "high", "half_width"))
    return [
        f"{end['n_faults']:,.0f} faults, {end['n_inferences']:,.0f} inferences ({duration(seconds)})",
        f"critical rate {rate:.2f} %, {low:.2f} to {high:.2f} % at {100 * confidence:g} % (-+ {half:.2f} points)",
    ]


def found(looks: list[dict[str, float]], rows: list[dict[str, Any]], state: State, seconds: float) -> dict[str, Any]:
    """The result, with each look at it and each stratum."""
    counts = {"critical": state.critical, "images": state.images}
    return {**looks[-1], "seconds": round(seconds, 2), "looks": looks, "strata": rows, "counts": counts}


def write(output: Path, kept: Mapping[str, Any]) -> None:
    from ..files import write_whole
    from ._screen import plain

    write_whole(output.absolute(), (json.dumps(plain(kept), indent=1) + "\n").encode())
    click.echo(f"all of it in {output}", err=True)
