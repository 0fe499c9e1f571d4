"""gridrun faults summary: the results of a campaign by layer, bit or kind, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, nearest
from ._lists import FILE, read
from ._screen import FORMATS, show_rows

if TYPE_CHECKING:
    from ..faults.fault_list import FaultList

EPILOG = """\b
Examples:
  gridrun faults summary out.csv --by bit
  gridrun faults summary ResNet20_FL.csv --by layer --confidence=.95
  gridrun faults summary out.csv --by layer,bit --format=csv > cells.csv

The interval of the critical rate takes faults as the unit, not images, and holds for one row at a time: for k rows at
once ask for a confidence of 1 - .01 / k. It is that of faults drawn at random within each row.
"""


@click.command("summary", short_help="Sum up the results of a campaign.", epilog=EPILOG)
@click.argument("results", type=FILE)
@click.option("-by", "--by", default="layer", show_default=True, metavar="NAMES", help="layer, bit, kind; or several.")
@click.option("-confidence", "--confidence", type=float, default=0.99, show_default=True, help="Of the intervals.")
@click.option("-format", "--format", "form", type=FORMATS, default="table", help="Of the rows.")
def command(results: Path, by: str, confidence: float, form: str) -> None:
    """Masked, non-critical and critical shares in RESULTS by layer, bit or kind, with the critical rate's interval."""
    if not 0 < confidence < 1:
        raise UsageError(f"--confidence={confidence:g}: want a number between 0 and 1, such as 0.99")
    names = names_of(by)
    found = read(results)
    if found.counts is None:
        raise UsageError(f"{results} has no results: it lacks n_injections, masked, non_critical, critical")
    total = {names[0]: "all", **rows(found, (), confidence)[0]}
    show_rows([*rows(found, names, confidence), total], form)


def names_of(by: str) -> tuple[str, ...]:
    """What to sum by.

    >>> names_of("layer, bit")
    ('layer', 'bit')
    """
    from ..faults.summary import KEYS

    names = tuple(name.strip() for name in by.split(","))
    for name in names:
        if name not in KEYS:
            raise UsageError(f"--by={by}: no {name!r}; {nearest(name, KEYS)}")
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
