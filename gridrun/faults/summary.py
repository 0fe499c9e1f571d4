"""Counts of many faults, summed by layer, bit, kind or all of these."""

from __future__ import annotations

from collections.abc import Iterable

from .verdicts import Counts
from .weight_fault import WeightFault

KEYS = ("layer", "bit", "kind")


def summed(faults: Iterable[WeightFault], counts: Iterable[Counts], by: str | tuple[str, ...] = "layer") -> dict:
    """The counts of each layer, bit or kind (`by` "layer", "bit", "kind"), in the order of appearance.

    by: several of them give a tuple as key. `()` sums all.

    >>> faults = [WeightFault("a", (0, 0), 30), WeightFault("b", (0, 0), 3), WeightFault("b", (1, 0), 30)]
    >>> found = summed(faults, [Counts(2, 0, 0, 2), Counts(2, 2, 0, 0), Counts(2, 0, 1, 1)], by="bit")
    >>> found[30]
    Counts(n_injections=4, masked=0, non_critical=1, critical=3, due=0, sdc5=0, correct=0)
    """
    names = (by,) if isinstance(by, str) else by
    unknown = [name for name in names if name not in KEYS]
    if unknown:
        raise ValueError(f"cannot sum by {', '.join(map(repr, unknown))}; there are {', '.join(KEYS)}")
    found: dict = {}
    for fault, counted in zip(faults, counts, strict=True):
        values = tuple(getattr(fault, name) for name in names)
        key = values[0] if isinstance(by, str) else values
        found[key] = found[key] + counted if key in found else counted
    return found


def shares(counts: Counts) -> dict[str, float]:
    """Masked, non-critical and critical in percent of the injections.

    >>> shares(Counts(200, 100, 98, 2))
    {'masked': 50.0, 'non_critical': 49.0, 'critical': 1.0}
    """
    if not counts.n_injections:
        raise ValueError("no injections to take a share of")
    return {name: 100 * getattr(counts, name) / counts.n_injections for name in ("masked", "non_critical", "critical")}
