"""gridrun faults compare: the results of a campaign beside published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ._lists import FILE, read
from ._points import plural
from ._screen import FORMATS, show_rows

if TYPE_CHECKING:
    from ..faults.comparison import Comparison, Row
    from ..faults.fault_list import FaultList

EPILOG = """\b
Examples:
  gridrun faults compare out.csv ResNet20_FL.csv
  gridrun faults compare out.csv ResNet20_FL.csv --within=0 --format=csv > differences.csv

The exit status is 0 if every fault of OURS is in PUBLISHED and no critical count differs by more than --within.
Masked counts are shown, not judged: they depend on the arithmetic (a GPU's TF32 hides small changes of a weight).
"""


@click.command("compare", short_help="Compare the results of two campaigns.", epilog=EPILOG)
@click.argument("ours", type=FILE)
@click.argument("published", type=FILE)
@click.option("-within", "--within", type=click.IntRange(0), default=2, show_default=True, help="Images a fault.")
@click.option("-rows", "--rows", "n_rows", type=click.IntRange(0), default=20, show_default=True, help="Of the table.")
@click.option("-format", "--format", "form", type=FORMATS, default="table", help="csv and json print every fault.")
def command(ours: Path, published: Path, within: int, n_rows: int, form: str) -> bool:
    """Compare the results in OURS with those in PUBLISHED, fault by fault."""
    from ..faults.comparison import compare

    found = compare(results(ours), results(published))
    if form == "table":
        apart = sorted((row for row in found.rows if row.difference), key=lambda row: -abs(row.difference))
        show_rows([as_row(row) for row in apart[:n_rows]])
        if len(apart) > n_rows:
            click.echo(f"and {len(apart) - n_rows} more with another critical count: --format=csv shows all")
    else:
        show_rows([as_row(row) for row in found.rows], form)
    for line in verdict(found, within):
        click.echo(line, err=form != "table")
    return found.agrees(within)


def results(path: Path) -> FaultList:
    """The list in a file, with results."""
    found = read(path)
    if found.counts is None:
        raise UsageError(f"{path} has no results: it lacks n_injections, masked, non_critical, critical")
    return found


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
        return [*lines, f"they agree: within {within} critical images on every fault"]
    why = f"{plural(len(beyond), 'fault')} beyond {within} critical images" if beyond else "not the same faults"
    return [*lines, f"they do not agree: {why if n else 'no fault is in both'}"]
