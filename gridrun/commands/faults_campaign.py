"""gridrun faults campaign: inject a list of faults, and count what becomes of the images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..progress import duration
from ._points import is_done, plural
from .accuracy import find_weights
from .faults_sample import kinds_of

if TYPE_CHECKING:
    from ..faults.verdicts import Counts
    from ..faults.weight_fault import WeightFault

EPILOG = """\b
Examples:
  gridrun faults campaign -n ResNet20 -d cifar10 --fault-list ResNet20_FL.csv --rows 0:100 -o out.csv
  gridrun faults campaign -n ResNet20 --fault-list list.csv --images 1000 --kind stuck1 -n_threads 2
  gridrun faults campaign -n ResNet20 --fault-list list.csv -mode slurm -o out.csv
  gridrun faults compare out.csv ResNet20_FL.csv

Counts are kept in sessions/ as they come: the same command again goes on where it was, and more rows or images cost
only themselves. --rows counts from 0, without the last, over the rows of the list.
"""


@click.command("campaign", short_help="Inject a list of faults.", epilog=EPILOG)
@click.option("-n", "--network", "--network-name", "name", required=True, metavar="NAME", help="As ResNet20, VGG11_bn.")
@click.option("-d", "--dataset", default="cifar10", show_default=True, metavar="NAME", help="Or cifar100, gtsrb.")
@click.option("-weights", "--weights", type=click.Path(path_type=Path), metavar="FILE", help="Of the network.")
@click.option(
    "-data-dir", "--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="[default: $GRIDRUN_DATA, or data]"
)
@click.option("-fault-list", "--fault-list", "list_file", required=True, type=click.Path(path_type=Path))
@click.option("-rows", "--rows", metavar="FIRST:LAST", help="These rows of the list only.")
@click.option("-images", "--images", type=click.IntRange(1), help="So many of the test images, the first ones.")
@click.option("-kind", "--kind", metavar="KIND", help="Of all faults: flip, stuck0, stuck1, zero or random.")
@click.option("-format", "--format", "fmt", default="fp32", show_default=True, help="Or fp16, bf16, int8.")
@click.option("-arithmetic", "--arithmetic", default="exact", show_default=True, help="Or fused, which is faster.")
@click.option("-n_threads", "--n_threads", type=click.IntRange(1), default=1, metavar="N", help="Processes.")
@click.option("-mode", "--mode", metavar="PROFILE", help="Where: a profile of launch/; here by default.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Of the counts, as CSV.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    dataset: str,
    weights: Path | None,
    data_dir: Path | None,
    list_file: Path,
    rows: str | None,
    images: int | None,
    kind: str | None,
    fmt: str,
    arithmetic: str,
    n_threads: int,
    mode: str | None,
    output: Path | None,
) -> bool:
    """Inject each fault of a list into a network, alone, and count masked, non-critical and critical images."""
    from ..data import test_images
    from ..data.folders import data_folder
    from ..faults.fault_list import layer_shapes, read
    from ..nn import zoo
    from ..tasks import campaign
    from ..tasks.settings import mendable

    dataset = dataset.lower().replace("-", "")
    with mendable():
        entry = zoo.find(name, dataset)
        name = next(known for (known, _), about in zoo.NETWORKS.items() if about is entry)
        file = weights or find_weights(data_folder(data_dir) / "weights", name, dataset)
        listed = read(list_file, layer_shapes(zoo.network(name, dataset)))
        n_there = len(test_images(dataset, data_dir)[1])
    chosen = rows_of(rows, len(listed.faults))
    faults = [of_kind(listed.faults[n], kind) for n in chosen]
    n_images = min(images or n_there, n_there)
    network = campaign.published_network(name, dataset, file, data_folder(data_dir))
    grid = campaign.blocks(network, faults, n_images, fmt, arithmetic)
    begin = time.monotonic()
    if not computed(grid, n_threads, mode):
        return False
    counts = campaign.totals(stored(grid), len(faults))
    tell(counts, faults, n_images, time.monotonic() - begin)
    if output is not None:
        write(output, faults, counts, [listed.numbers[n] for n in chosen])
    return True


def rows_of(text: str | None, n_rows: int) -> range:
    """The rows that --rows names.

    >>> rows_of("0:100", 16_627), rows_of(":2", 5), rows_of(None, 3)
    (range(0, 100), range(0, 2), range(0, 3))
    """
    if text is None:
        return range(n_rows)
    first, colon, last = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, last)):
        raise UsageError(f"--rows={text}: want FIRST:LAST, such as 0:100")
    found = range(int(first or 0), min(int(last or n_rows), n_rows))
    if not found:
        raise UsageError(f"--rows={text} holds none of the list's {n_rows} rows")
    return found


def of_kind(fault: WeightFault, kind: str | None) -> WeightFault:
    """The fault, or the same place under another kind."""
    return fault if kind is None else replace(fault, kind=kinds_of(kind)[0])


def computed(grid: Sequence[dict[str, Any]], n_threads: int, mode: str | None) -> bool:
    """Compute what is missing; False, and why, if a block failed."""
    import gridrun

    from ..tasks.campaign import ARGUMENTS, fault_counts

    options = {"n_threads": n_threads, "backend": "processes"} if n_threads > 1 else {}
    states = gridrun.ensure(grid, fault_counts, mode=mode, **options)(*ARGUMENTS)
    wrong = [state for state in states if not is_done(state)]
    for state in wrong[:5]:
        click.echo(f"{state.state}: {state.detail}", err=True)
    if wrong:
        click.echo(f"{plural(len(wrong), 'block')} of {len(states)} not computed", err=True)
    return not wrong


def stored(grid: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    import gridrun

    from ..tasks.campaign import ARGUMENTS, fault_counts

    return gridrun.run(grid, fault_counts, run_mode="load")(*ARGUMENTS)


def tell(counts: Sequence[Counts], faults: Sequence[WeightFault], n_images: int, seconds: float) -> None:
    """The shares of the verdicts, and the critical rate with its interval over faults."""
    from ..faults.intervals import rate_interval

    total = sum(counts[1:], counts[0])
    shares = [100 * part / total.n_injections for part in total[1:4]]
    click.echo(f"{plural(len(faults), 'fault')} x {plural(n_images, 'image')} ({duration(seconds)})")
    click.echo("masked {:.2f} %, non-critical {:.2f} %, critical {:.2f} %".format(*shares))
    low, high = rate_interval([c.critical for c in counts], [c.n_injections for c in counts], 0.99)[:2]
    click.echo(f"critical rate {shares[2]:.2f} %, {100 * low:.2f} to {100 * high:.2f} % at 99 %, faults as clusters")


def write(output: Path, faults: Sequence[WeightFault], counts: Sequence[Counts], numbers: Sequence[int]) -> None:
    from ..faults import fault_list

    if not output.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {output.absolute().parent} for {output.name}")
    fault_list.write(output, faults, counts, numbers)
    click.echo(f"counts in {output}")


