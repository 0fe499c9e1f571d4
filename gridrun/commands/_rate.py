"""The critical rate of a list of faults in words, and whose it is: the network's, or of these faults alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..faults.verdicts import Counts
    from ..faults.weight_fault import Shapes, WeightFault


def told(faults: Sequence[WeightFault], counts: Sequence[Counts], shapes: Shapes, fmt: str = "fp32") -> list[str]:
    """The rate with its interval at 99 %; where the list is out of proportion that is said, and the network's rate is
    added if the list can tell it."""
    from ..faults.intervals import rate_interval
    from ..faults.proportion import uneven

    n = [c.n_injections for c in counts]
    critical = [c.critical for c in counts]
    low, high = rate_interval(critical, n, 0.99)
    rate = f"{in_percent(sum(critical) / sum(n), low, high)} at 99 %, faults as clusters"
    if not (why := uneven(faults, shapes, fmt)):
        return [f"critical rate {rate}"]
    lines = [f"critical rate of these faults {rate}", f"(not of the network: {why})"]
    return [*lines, *of_network(faults, counts, shapes, fmt)]


def of_network(
    faults: Sequence[WeightFault],
    counts: Sequence[Counts],
    shapes: Shapes,
    fmt: str = "fp32",
    confidence: float = 0.99,
) -> list[str]:
    """The network's rate, weighted; nothing where the list cannot tell it."""
    from ..faults.proportion import network_rate

    found = network_rate(faults, counts, shapes, fmt, confidence)
    if found is None:
        return []
    rate = in_percent(found.rate, found.low, found.high)
    return [f"critical rate of the network {rate} at {100 * confidence:g} %, weighted by layer and bits"]


def in_percent(rate: float, low: float, high: float) -> str:
    """
    >>> in_percent(0.5, 0.25, 0.75)
    '50.00 %, 25.00 to 75.00 %'
    """
    return f"{100 * rate:.2f} %, {100 * low:.2f} to {100 * high:.2f} %"
