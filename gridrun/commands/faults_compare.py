"""gridrun faults compare: the results of a campaign beside published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _how
from ._lists import FILE, results
from ._network import Network, placed
from ._points import plural
from ._screen import FORMATS, show_rows

if TYPE_CHECKING:
    from ..faults.comparison import Comparison, Row

EPILOG = """\b
Examples:
  gridrun faults compare out.csv ResNet20_FL.csv
  gridrun faults compare out.csv ResNet20_FL.csv --within=0 --format=csv > differences.csv
  gridrun faults compare out.csv ResNet20_FL.csv -n ResNet20           how many masked counts TF32 explains

The exit status is 0 if every fault of OURS is in PUBLISHED and no critical count differs by more than --within.
Masked counts are shown, not judged: they depend on the arithmetic (a GPU's TF32 hides small changes of a weight).
"""


@click.command("compare", short_help="Compare the results of two campaigns.", epilog=EPILOG)
@click.argument("ours", type=FILE)
@click.argument("published", type=FILE)
@click.option("-within", "--within", type=click.IntRange(0), default=2, show_default=True, help="Images a fault.")
@click.option("-rows", "--rows", "n_rows", type=click.IntRange(0), default=20, show_default=True, help="Of the table.")
@click.option("-format", "--format", "form", type=FORMATS, default="table", help="csv and json print every fault.")
@click.option("-n", "--network", "--network-name", "name", metavar="NAME", help="To say what TF32 explains.")
@click.option("-d", "--dataset", default="cifar10", show_default=True, metavar="NAME", help="Of the network.")
@placed
def command(
    ours: Path,
    published: Path,
    within: int,
    n_rows: int,
    form: str,
    name: str | None,
    dataset: str,
    weights: Path | None,
    data_dir: Path | None,
) -> bool:
    """Compare the results in OURS with those in PUBLISHED, fault by fault."""
    from ..faults.comparison import compare

    network = Network.find(name, dataset, weights, data_dir) if name else None
    found = compare(results(ours), results(published))
    if form == "table":
        apart = sorted((row for row in found.rows if row.difference), key=lambda row: -abs(row.difference))
        show_rows([as_row(row) for row in apart[:n_rows]])
        if len(apart) > n_rows:
            click.echo(f"and {len(apart) - n_rows} more with another critical count: --format=csv shows all")
    else:
        show_rows([as_row(row) for row in found.rows], form)
    notes = [f"note: {line}" for line in _how.differences(_how.read(ours), _how.read(published))]
    for line in [*notes, *([tf32_line(found, network)] if network else []), *verdict(found, within)]:
        click.echo(line, err=form != "table")
    return found.agrees(within)


def as_row(row: Row) -> dict[str, Any]:
    """A fault with both critical counts and the differences, ours minus published."""
    fault, ours, theirs = row
    return {
        "layer": fault.layer,
        "index": str(fault.index),
        "bit": fault.bit,
        "kind": fault.kind,
        "n_ours": ours.n_injections,
        "n_published": theirs.n_injections,
        "critical_ours": ours.critical,
        "critical_published": theirs.critical,
        "d_critical": row.difference,
        "d_non_critical": ours.non_critical - theirs.non_critical,
        "d_masked": ours.masked - theirs.masked,
    }


def tf32_line(found: Comparison, network: Network) -> str:
    """How many unequal masked counts there are since the published run read weights in TF32."""
    from ..faults import tf32
    from ..nn import zoo
    from ..tasks.settings import mendable

    with mendable():
        model = zoo.load_weights(zoo.network(network.name, network.dataset), network.weights)
        faults = [row.fault for row in found.rows]
        hidden = [fault for fault, is_hidden in zip(faults, tf32.is_hidden(model, faults)) if is_hidden]
    n_apart = len(found.rows) - found.n_equal("masked")
    n = len(tf32.explained(found.rows, hidden))
    return f"TF32 explains {n} of {n_apart} unequal masked counts: the fault is rounded away, PUBLISHED is all masked"


def verdict(found: Comparison, within: int) -> list[str]:
    """What the comparison says, the answer last."""
    n, beyond = len(found.rows), found.beyond(within)
    uneven = [row for row in found.rows if not row.is_comparable]
    alone = f"{len(found.only_theirs)} only in published, {len(found.only_ours)} only in ours"
    lines = [
        f"{plural(n, 'fault')} in both, {alone}",
        f"critical: equal on {found.n_equal('critical')}, apart by {found.worst()} at most",
        f"masked: equal on {found.n_equal('masked')} (not judged: it depends on the arithmetic)",
    ]
    top = [abs(row.difference) for row in found.rows if row.fault.bit == 30]
    if top:
        lines.append(f"bit 30: {plural(len(top), 'fault')}, apart by {max(top)} at most")
    if uneven:
        lines.append(f"{plural(len(uneven), 'fault')} ran on another number of images than the published ones")
    if found.agrees(within):
        return [*lines, f"they agree: within {plural(within, 'critical image')} on every fault"]
    far = f"{plural(len(beyond), 'fault')} beyond {plural(within, 'critical image')}"
    why = far if beyond else "not the same faults"
    return [*lines, f"they do not agree: {why if n else 'no fault is in both'}"]
