"""gridrun faults campaign: inject a list of faults, and count what becomes of the images."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, among
from ..progress import duration
from . import _how, _rate
from ._bar import Bar
from ._lists import FILE, check_folder, n_bits, of_kind, read_for
from ._network import Network, device_of, named, on_gpu, placed
from ._points import is_done, plural

if TYPE_CHECKING:
    from ..faults.verdicts import Counts

    Grid = Sequence[dict[str, Any]]

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
@named
@placed
@on_gpu
@click.option("-fault-list", "--fault-list", "list_file", required=True, type=FILE, help="CSV, as `sample` writes it.")
@click.option("-rows", "--rows", metavar="FIRST:LAST", help="These rows of the list only.")
@click.option("-images", "--images", type=click.IntRange(1), help="So many of the test images, the first ones.")
@click.option("-kind", "--kind", metavar="KIND", help="Of all faults: flip, stuck0, stuck1, zero or random.")
@click.option("-format", "--format", "fmt", default="fp32", show_default=True, help="Or fp16, bf16, int8.")
@click.option(
    "-arithmetic",
    "--arithmetic",
    default="exact",
    show_default=True,
    help="Or, faster, screened (masked a lower bound, critical exact to first order) or fused.",
)
@click.option("-n_threads", "--n_threads", type=click.IntRange(1), default=1, metavar="N", help="Blocks side by side.")
@click.option("-mode", "--mode", metavar="PROFILE", help="Where: a profile of launch/; here by default.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Of the counts, as CSV.")
@click.option("-every-count", "--every-count", is_flag=True, help="In the file also due, sdc5 and correct.")
def command(
    name: str,
    dataset: str,
    weights: Path | None,
    data_dir: Path | None,
    use_cuda: bool,
    list_file: Path,
    rows: str | None,
    images: int | None,
    kind: str | None,
    fmt: str,
    arithmetic: str,
    n_threads: int,
    mode: str | None,
    output: Path | None,
    every_count: bool,
) -> bool:
    """Inject each fault of a list into a network, alone, and count masked, non-critical and critical images."""
    from ..data import test_images
    from ..faults.fault_list import write
    from ..faults.injection import layer_shapes
    from ..nn import zoo
    from ..tasks.campaign import published_network
    from ..tasks.settings import mendable
    from ..tasks.stored_blocks import planned, totals

    check_folder(output)
    check_ways(kind, fmt, arithmetic)
    if every_count and (output is None or arithmetic != "exact"):
        raise UsageError("--every-count: want --output for its columns, and exact arithmetic, which alone knows them")
    device = device_of(use_cuda)
    network = Network.find(name, dataset, weights, data_dir)
    with mendable():
        model = zoo.load_weights(zoo.network(network.name, network.dataset), network.weights)
        n_there = len(test_images(network.dataset, network.data_dir)[1])
    listed = read_for(model, list_file, n_bits(fmt))
    chosen = rows_of(rows, len(listed.faults))
    faults = of_kind(listed, kind, chosen, list_file)
    n_images = min(images or n_there, n_there)
    point = published_network(network.name, network.dataset, network.weights, network.data_dir, device)
    grid = planned(point, faults, n_images, fmt, arithmetic)
    begin = time.monotonic()
    if not computed(grid, n_threads, mode, plural(len(faults), "fault"), len(faults) * n_images):
        return False
    results = stored(grid)
    counts = totals(grid, results, faults)
    tell(counts, n_images, time.monotonic() - begin)
    for line in _rate.told(faults, counts, layer_shapes(model), fmt):
        click.echo(line)
    reports = [result["report"] for result in results]
    click.echo(f"{arithmetic} arithmetic: {ways(reports)}")
    if arithmetic != "exact":
        click.echo(screened(reports))
    if output is not None:
        write(output, faults, counts, [listed.numbers[n] for n in chosen], every_count)
        _how.write(output, {**how(point, n_images, fmt, arithmetic), **_how.surroundings(reports)})
        click.echo(f"counts in {output}, how they were obtained in {_how.path_of(output).name}")
    return True


def check_ways(kind: str | None, fmt: str, arithmetic: str) -> None:
    """Raise UsageError for a kind of fault, a number format or an arithmetic that there is not."""
    from ..faults.bits import FORMATS, KINDS
    from ..faults.campaign import ARITHMETICS

    for what, value, known in (
        ("kind of fault", kind or KINDS[0], KINDS),
        ("number format", fmt, FORMATS),
        ("arithmetic", arithmetic, ARITHMETICS),
    ):
        if value not in known:
            raise UsageError(f"no {what} {value!r}; {among(value, known)}")


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


def how(point: dict[str, Any], n_images: int, fmt: str, arithmetic: str) -> dict[str, Any]:
    """What decides the counts, for the file beside them."""
    named = {key: point[key] for key in ("network", "dataset", "weights_id")}
    return {**named, "weights": point["weights_file"], "images": n_images, "format": fmt, "arithmetic": arithmetic}


def computed(grid: Grid, n_threads: int, mode: str | None, name: str, n_injections: int) -> bool:
    """Compute what is missing, and show how far it is; False, and why, if a block failed."""
    import gridrun

    from ..tasks.campaign import ARGUMENTS, fault_counts

    options: dict[str, Any] = {"n_threads": n_threads, "backend": "processes"} if n_threads > 1 else {}
    n_cached = sum(map(is_done, gridrun.explain(grid, fault_counts)(*ARGUMENTS)))
    with Bar(name, n_injections, "injections", before=n_cached * n_injections // len(grid)) as bar:

        def tell(n_done: int, n_blocks: int) -> None:
            share = 1 - (n_blocks - n_done) / len(grid)  # on a cluster, only missing blocks are told of
            bar.to(round(share * n_injections))

        try:
            states = gridrun.ensure(grid, fault_counts, mode=mode, progress=tell, **options)(*ARGUMENTS)
        except KeyboardInterrupt:
            n_kept = sum(is_done(state) for state in gridrun.explain(grid, fault_counts)(*ARGUMENTS))
            click.echo(f"interrupted: {n_kept} of {plural(len(grid), 'block')} kept; start again to go on", err=True)
            raise
    wrong = [state for state in states if not is_done(state)]
    for state in wrong[:5]:
        click.echo(f"{state.state}: {state.detail}", err=True)
    if wrong:
        click.echo(f"{plural(len(wrong), 'block')} of {len(states)} not computed", err=True)
    return not wrong


def stored(grid: Grid) -> list[dict[str, Any]]:
    import gridrun

    from ..tasks.campaign import ARGUMENTS, fault_counts

    return gridrun.run(grid, fault_counts, run_mode="load")(*ARGUMENTS)


def tell(counts: Sequence[Counts], n_images: int, seconds: float) -> None:
    """The shares of the verdicts."""
    total = sum(counts[1:], counts[0])
    shares = [100 * part / total.n_injections for part in total[1:4]]
    click.echo(f"{plural(len(counts), 'fault')} x {plural(n_images, 'image')} ({duration(seconds)})")
    click.echo("masked {:.2f} %, non-critical {:.2f} %, critical {:.2f} %".format(*shares))


def screened(reports: Iterable[dict[str, Any]]) -> str:
    """How many injections were judged without a run, and whether the audit found that right.

    >>> screened([{"screened": {"judged": 990, "audited": 4, "critical": 0}}, {}])
    '990 injections judged to first order, 4 more run as an audit: none of these critical'
    """
    found = Counter[str]()
    for report in reports:
        found.update({key: report.get("screened", {}).get(key, 0) for key in ("judged", "audited", "critical")})
    audit = "none of these critical"
    if found["critical"]:
        audit = f"{found['critical']} of these critical, so take --arithmetic=exact"
    judged = f"{plural(found['judged'], 'injection')} judged to first order"
    return f"{judged}, {found['audited']} more run as an audit: {audit}"


def ways(reports: Iterable[dict[str, Any]]) -> str:
    """How the layers of a campaign were computed, from the reports of its blocks.

    >>> ways([{"layers": {"conv1": "channels", "fc": "whole layer"}}, {"layers": {"conv2": "channels"}}])
    '2 layers by channels, 1 layer by whole layer'
    >>> ways([{"fall_back": "naive loop: torch.fx cannot trace it", "layers": {"fc": "naive loop"}}])
    'naive loop: torch.fx cannot trace it'
    """
    layers: dict[str, str] = {}
    for report in reports:
        if "fall_back" in report:
            return str(report["fall_back"])
        layers.update(report["layers"])
    found = Counter(layers.values())
    return ", ".join(f"{plural(number, 'layer')} by {way}" for way, number in found.most_common()) or "nothing to run"
