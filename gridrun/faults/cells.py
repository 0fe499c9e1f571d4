"""Faults by layer and place in the word: lists that ask each such cell, and the critical rates they find.

A word's sign and exponent bits stand alone, since few of them decide nearly everything; the mantissa of a long word is
taken in two groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import product
from typing import Any

from .bits import FORMATS
from .draws import distinct
from .estimate import stratified
from .intervals import Rate, rates_by
from .strata import WeightBits
from .weight_fault import Shapes, WeightFault

GROUPED = {"fp32": {"16–22": range(16, 23), "0–15": range(16)}}
Cell = tuple[str, str]  # layer, group of bits
BY = ("layer", "bits", "cell", "all")


def bit_groups(fmt: str = "fp32") -> dict[str, tuple[int, ...]]:
    """The groups of a word's bits by name, the highest first.

    >>> list(bit_groups("fp32"))
    ['31', '30', '29', '28', '27', '26', '25', '24', '23', '16–22', '0–15']
    >>> bit_groups("int8")["7"]
    (7,)
    """
    grouped = GROUPED.get(fmt, {})
    together = {bit for bits in grouped.values() for bit in bits}
    alone = {str(bit): (bit,) for bit in reversed(range(FORMATS[fmt].bits)) if bit not in together}
    return {**alone, **{name: tuple(bits) for name, bits in grouped.items()}}


def group_of(bit: int, fmt: str = "fp32") -> str:
    """The group that holds a bit.

    >>> group_of(30), group_of(3)
    ('30', '0–15')
    """
    return next(name for name, bits in bit_groups(fmt).items() if bit in bits)


def cells_of(shapes: Shapes, fmt: str = "fp32", kind: str = "flip") -> dict[Cell, WeightBits]:
    """Every fault of a network, by layer and group of bits.

    >>> {cell: len(faults) for cell, faults in cells_of({"fc": (10, 4)}).items()}["fc", "16–22"]
    280
    """
    names = product(shapes, bit_groups(fmt).items())
    return {(layer, name): WeightBits({layer: shapes[layer]}, bits, kind) for layer, (name, bits) in names}


def by_cell(shapes: Shapes, n: int, fmt: str = "fp32", kind: str = "flip", seed: int = 42) -> list[WeightFault]:
    """A stratified list: `n` faults of a cell of one bit, and n / 3 a bit where bits stand together.

    A cell that has no more gives all. The places are the same whatever the kind, and a longer list begins, in each
    cell, with the shorter one.

    >>> len(by_cell({"fc": (10, 64)}, 6))  # 9 bits x 6, 7 x 2 and 16 x 2
    100
    """
    found = []
    for (layer, name), faults in cells_of(shapes, fmt, kind).items():
        wanted = n if len(faults.bits) == 1 else max(n, round(n * len(faults.bits) / 3))
        numbers = distinct(len(faults), min(wanted, len(faults)), seed, "cell", layer, name)
        found += [faults[int(number)] for number in numbers]
    return found


def rates(
    faults: Sequence[WeightFault],
    hits: Sequence[int],
    n: Sequence[int],
    shapes: Shapes,
    by: str,
    fmt: str = "fp32",
    is_by_cell: bool = True,
    confidence: float = 0.99,
) -> dict[Any, Rate]:
    """The rate of an outcome, such as critical, with its interval over faults.

    hits: how many of the `n` images of each fault had that outcome. by: "layer", "bits", "cell" (layer, bits) or "all"
    (one rate, its key ""). is_by_cell: the list is that of `by_cell`, so that a layer's rate is put together from its
    cells, each by its share of the faults there are (Cochran, chapter 5). False: faults drawn at random, as the
    published ones, so that a rate is that of the faults found. A cell's own rate is the same in both, with a Wilson
    interval on its effective size. Only what has faults is in the answer.

    >>> found = rates([WeightFault("fc", (0, 0), 30)] * 2, [9, 0], [9, 9], {"fc": (5, 4)}, "cell")
    >>> found["fc", "30"].rate
    0.5
    """
    if by not in BY:
        raise ValueError(f"by={by!r}; there are {', '.join(BY)}")
    sizes = {cell: len(every) for cell, every in cells_of(shapes, fmt).items()}
    cells = [(fault.layer, group_of(fault.bit, fmt)) for fault in faults]
    if by == "cell" or not is_by_cell:
        keys = [_key(cell, by) for cell in cells]
        return rates_by(keys, hits, n, confidence, population=_sums(sizes, by))
    samples: dict[Cell, tuple[list[int], list[int]]] = {}
    for cell, k, images in zip(cells, hits, n):
        mine = samples.setdefault(cell, ([], []))
        mine[0].append(k)
        mine[1].append(images)
    return {key: _rate(samples, sizes, key, by, confidence) for key in dict.fromkeys(_key(cell, by) for cell in cells)}


def _key(cell: Cell, by: str) -> Hashable:
    return {"layer": cell[0], "bits": cell[1], "cell": cell, "all": ""}[by]


def _sums(sizes: dict[Cell, int], by: str) -> dict[Any, int]:
    """How many faults there are of each key."""
    found: dict[Any, int] = {}
    for cell, size in sizes.items():
        found[_key(cell, by)] = found.get(_key(cell, by), 0) + size
    return found


def _rate(samples: dict, sizes: dict[Cell, int], key: Hashable, by: str, confidence: float) -> Rate:
    """The rate of all cells of a key; ValueError if one of them has no fault."""
    names = {cell: f"{cell[0]}, bits {cell[1]}" for cell in sizes if _key(cell, by) == key}
    found = stratified(
        {names[cell]: sample for cell, sample in samples.items() if cell in names},
        {name: sizes[cell] for cell, name in names.items()},
        confidence,
    )
    return Rate(found.rate, found.low, found.high, found.n_faults)
