"""Is a list of faults drawn in proportion to the network's, so that its critical rate is the network's, too?

A list by bit, by layer or by strata has rare faults more often than the network has: each row is right, and the rate of
all rows is nobody's. The network's rate is then that of strata of layer and bits, each by its share of the faults there
are (Cochran, Sampling Techniques, 3rd ed., chapter 5).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from .bits import FORMATS, WHOLE_WORD
from .estimate import Estimate, stratified
from .strata import BITS_OF
from .verdicts import Counts
from .weight_fault import Shapes, WeightFault

Key = TypeVar("Key", bound=Hashable)  # a bit, or the name of a layer
DOUBT = 1e-3  # how often a list that is drawn in proportion may be taken for one that is not


def uneven(faults: Sequence[WeightFault], shapes: Shapes | None = None, fmt: str = "fp32") -> str:
    """What is out of proportion, in words; "" where nothing is. Layers are judged where their shapes are known.

    >>> uneven([WeightFault("fc", (i, 0), bit) for i in range(10) for bit in range(32)])
    ''
    >>> uneven([WeightFault("fc", (i, 0), bit) for i in range(10) for bit in (3, 9, 20, 30)])
    "bit 30 is 25 % of the list, 3 % of the network's faults"
    """
    struck = Counter(fault.bit for fault in faults if _has_bit(fault))
    n_bits, groups = FORMATS[fmt].bits, BITS_OF[fmt]
    of_groups = {name: sum(struck[bit] for bit in bits) for name, bits in groups.items()}
    bits = dict.fromkeys(reversed(range(n_bits)), 1 / n_bits)
    found = []
    if _is_uneven(struck, bits) or _is_uneven(of_groups, {name: len(bits) / n_bits for name, bits in groups.items()}):
        found.append(f"bit {_furthest(struck, bits)}")
    if shapes is not None:
        listed, sizes = Counter(fault.layer for fault in faults), {name: math.prod(s) for name, s in shapes.items()}
        shares = {layer: size / sum(sizes.values()) for layer, size in sizes.items()}
        if _is_uneven(listed, shares):
            found.append(f"layer {_furthest(listed, shares)}")
    return ", ".join(found)


def _has_bit(fault: WeightFault) -> bool:
    return fault.kind not in WHOLE_WORD and not fault.mask


def _is_uneven(found: Mapping[Key, int], shares: Mapping[Key, float]) -> bool:
    """Whether a share differs by more than chance: exact binomial tests, Bonferroni."""
    from scipy import stats

    n = sum(found.values())
    pairs = [(found.get(key, 0), share) for key, share in shares.items() if n]
    return any(stats.binomtest(k, n, share).pvalue <= DOUBT / len(shares) for k, share in pairs)


def _furthest(found: Mapping[Key, int], shares: Mapping[Key, float]) -> str:
    """What is most in excess, and by how much."""
    n = sum(found.values())
    key = max(shares, key=lambda key: found.get(key, 0) / n - shares[key])
    return f"{key} is {_percent(found.get(key, 0) / n)} of the list, {_percent(shares[key])} of the network's faults"


def _percent(share: float) -> str:
    """
    >>> _percent(0.2), _percent(1 / 32), _percent(0.0016)
    ('20 %', '3 %', '0.2 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"


def network_rate(
    faults: Sequence[WeightFault],
    counts: Sequence[Counts],
    shapes: Shapes,
    fmt: str = "fp32",
    confidence: float = 0.99,
) -> Estimate | None:
    """The network's critical rate by strata of layer, bits that are alike, and kind; kinds count alike.

    None where the list cannot tell: a stratum has fewer than two faults, bits that are alike are not there alike, or a
    fault strikes more than one bit.

    >>> faults = [WeightFault("fc", (i, 0), bit) for i in range(4) for bit in (*range(32), 30)]
    >>> network_rate(faults, [Counts(8, 0, 8 * (f.bit != 30), 8 * (f.bit == 30)) for f in faults], {"fc": (9, 9)}).rate
    0.03125
    """
    groups = list(BITS_OF[fmt].values())
    if not all(map(_has_bit, faults)) or any(_is_uneven_within(faults, group) for group in groups):
        return None
    place = {bit: number for number, bits in enumerate(groups) for bit in bits}
    samples: dict[tuple[str, int, str], tuple[list[int], list[int]]] = {}
    for fault, counted in zip(faults, counts, strict=True):
        critical, images = samples.setdefault((fault.layer, place[fault.bit], fault.kind), ([], []))
        critical.append(counted.critical)
        images.append(counted.n_injections)
    kinds = sorted({fault.kind for fault in faults})
    sizes = {
        (layer, number, kind): math.prod(shape) * len(bits)
        for layer, shape in shapes.items()
        for number, bits in enumerate(groups)
        for kind in kinds
    }
    if any(len(samples.get(key, ([],))[0]) < 2 for key in sizes):
        return None
    named = {str(key): key for key in sizes}
    return stratified(
        {name: samples[key] for name, key in named.items()},
        {name: sizes[key] for name, key in named.items()},
        confidence,
    )


def _is_uneven_within(faults: Sequence[WeightFault], group: Sequence[int]) -> bool:
    struck = Counter(fault.bit for fault in faults if fault.bit in group)
    return _is_uneven(struck, dict.fromkeys(group, 1 / len(group)))
