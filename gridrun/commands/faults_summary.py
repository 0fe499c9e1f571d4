"""gridrun faults summary: the results of a campaign by layer, bit or kind, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, among
from . import _how, _rate
from ._lists import FILE, n_bits, results
from ._network import entry_of, spelt
from ._screen import FORMATS, show_rows

if TYPE_CHECKING:
    from ..faults.fault_list import FaultList
    from ..faults.weight_fault import Shapes

EPILOG = """\b
Examples:
  gridrun faults summary out.csv --by bit
  gridrun faults summary ResNet20_FL.csv --by layer --confidence=.95
  gridrun faults summary out.csv --by layer,bit --format=csv > cells.csv
  gridrun faults summary old.csv -n ResNet20           the network's rate, too, from a list by layer or strata

The interval of the critical rate takes faults as the unit, not images, and holds for one row at a time: for k rows at
once ask for a confidence of 1 - .01 / k. It is that of faults drawn at random within each row; where a list has some
bits or layers more often than the network has, a note says so.
"""


@click.command("summary", short_help="Sum up the results of a campaign.", epilog=EPILOG)
@click.argument("path", metavar="RESULTS", type=FILE)
@click.option("-by", "--by", default="layer", show_default=True, metavar="NAMES", help="layer, bit, kind; or several.")
@click.option("-confidence", "--confidence", type=float, default=0.99, show_default=True, help="Of the intervals.")
@click.option("-format", "--format", "form", type=FORMATS, default="table", help="Of the rows.")
@click.option("-n", "--network", "--network-name", "name", metavar="NAME", help="Where no .json beside RESULTS says.")
@click.option("-d", "--dataset", default="cifar10", show_default=True, metavar="NAME", help="Of the network.")
def command(path: Path, by: str, confidence: float, form: str, name: str | None, dataset: str) -> None:
    """Masked, non-critical and critical shares in RESULTS by layer, bit or kind, with the critical rate's interval."""
    if not 0 < confidence < 1:
        raise UsageError(f"--confidence={confidence:g}: want a number between 0 and 1, such as 0.99")
    names = names_of(by)
    how = {"format": "fp32", **_how.read(path), **({"network": name, "dataset": dataset} if name else {})}
    fmt = how["format"]
    shapes = shapes_of(how["network"], how["dataset"]) if "network" in how else None
    found = results(path, shapes, n_bits(fmt))
    total = {names[0]: "all", **rows(found, (), confidence)[0]}
    show_rows([*rows(found, names, confidence), total], form)
    for line in of_the_whole(found, shapes, fmt, confidence):
        click.echo(line, err=form != "table")


def shapes_of(name: str, dataset: str) -> Shapes:
    """The shapes of the weights of a network of the zoo. UsageError for one there is not."""
    from ..faults.injection import layer_shapes
    from ..nn import zoo

    entry_of(name, spelt(dataset))
    return layer_shapes(zoo.network(name, spelt(dataset)))


def of_the_whole(found: FaultList, shapes: Shapes | None, fmt: str, confidence: float) -> list[str]:
    """Whether these rates are the network's; if not, and its shapes are known, the rate that is."""
    from ..faults.proportion import uneven

    if not (why := uneven(found.faults, shapes, fmt)):
        return []
    lines = [f"note: rates of these faults, not of the network: {why}"]
    counts = found.counts or []
    return lines + (_rate.of_network(found.faults, counts, shapes, fmt, confidence) if shapes else [])


def names_of(by: str) -> tuple[str, ...]:
    """What to sum by.

    >>> names_of("layer, bit")
    ('layer', 'bit')
    """
    from ..faults.summary import KEYS

    names = tuple(name.strip() for name in by.split(","))
    for name in names:
        if name not in KEYS:
            raise UsageError(f"--by={by}: no {name!r}; {among(name, KEYS)}")
    return names


def rows(found: FaultList, names: tuple[str, ...], confidence: float) -> list[dict[str, Any]]:
    """A row for each group of faults, bits from the highest; one for all where there are no names."""
    from ..faults.intervals import rates_by
    from ..faults.summary import shares, summed

    counts = found.counts or []
    keys = [tuple(getattr(fault, name) for name in names) for fault in found.faults]
    rates = rates_by(keys, [c.critical for c in counts], [c.n_injections for c in counts], confidence)
    sums = summed(found.faults, counts, names)
    listed = []
    for key in sorted(sums, key=lambda key: [-part for part in key if isinstance(part, int)]):
        rate = rates[key]
        percent = {**shares(sums[key]), "low": 100 * rate.low, "high": 100 * rate.high}
        shown = {f"{name}_%": share for name, share in percent.items()}
        listed.append({**dict(zip(names, key)), "faults": rate.n_faults, **shown})
    return listed
