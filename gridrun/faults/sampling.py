"""Fault lists: which faults to inject, so that the few stand for all.

`published` is the draw behind the fault lists of cad-polito-it/dnn-benchmarks, number for number. The other samplers
draw without replacement, and a longer list begins with the shorter one in each of their strata.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from statistics import NormalDist

from .draws import distinct
from .strata import BITS, WeightBits, neyman
from .weight_fault import Shapes, WeightFault

ALL_BITS = tuple(range(32))
BOTH = ("stuck0", "stuck1")
N_PER_WEIGHT = 64  # faults of a weight in the published lists: 32 bits, stuck at 0 or at 1
LISTED = 1_000_000  # the longest exhaustive list

# Standard deviation, between faults, of the critical rate in the published campaign of ResNet20 (CIFAR-10, 16,627
# flips x 10,000 images), for bits grouped as in strata.BITS.
DEVIATIONS = {"30": 0.442, "23-29, 31": 0.0021, "0-22": 0.00011}


def sample_size(population: int, error: float = 0.01, t: float = 2.58, p: float = 0.5) -> int:
    """Number of faults to inject so that a proportion is known to within `error`.

    n = N / (1 + e**2 (N - 1) / (t**2 p (1 - p)))  (Leveugle et al., DATE 2009). t: see `t_of`; p: the proportion as
    far as it is known; 0.5 is the safe choice.

    >>> sample_size(8_585_216)
    16609
    """
    if population < 1 or not 0 < error < 1 or t <= 0 or not 0 < p < 1:
        raise ValueError(f"population {population}, error {error}, t {t}, p {p}: want N >= 1, t > 0, 0 < error, p < 1")
    return round(population / (1 + error**2 * (population - 1) / (t**2 * p * (1 - p))))


def t_of(confidence: float) -> float:
    """The two-sided quantile of the normal distribution, to two decimals as the field's tables give it.

    >>> t_of(0.99), t_of(0.95)
    (2.58, 1.96)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: want a number between 0 and 1, such as 0.99")
    return round(NormalDist().inv_cdf((1 + confidence) / 2), 2)


def n_weights(shapes: Shapes) -> int:
    """Weights of all layers.

    >>> n_weights({"conv1": (16, 3, 3, 3), "linear": (10, 64)})
    1072
    """
    return sum(math.prod(shape) for shape in shapes.values())


def published(
    shapes: Shapes,
    seed: int = 42,
    error: float = 0.01,
    t: float = 2.58,
    p: float = 0.5,
    n_per_weight: int = N_PER_WEIGHT,
    kind: str = "flip",
) -> list[WeightFault]:
    """The published fault list of a network, from the shapes of its layers.

    The sample size of n_per_weight x weights faults is shared out by weights, each share rounded (half to even), so
    the list may be a few faults longer or shorter. Python's generator is seeded once; each fault draws one number a
    dimension of its layer, then the bit, and is drawn again when it was drawn before. A layer too small for its share
    gets all its 32 bits a weight.

    The published campaigns are called stuck-at, and their population counts both polarities, but they flip the bit.

    >>> published({"conv1": (16, 3, 3, 3)})[1]
    WeightFault(layer='conv1', index=(7, 0, 2, 0), bit=5, kind='flip', mask=0)
    """
    draw, total = random.Random(seed), n_weights(shapes)
    n = sample_size(n_per_weight * total, error, t, p)
    return [fault for layer, shape in shapes.items() for fault in _in_layer(layer, shape, n, total, kind, draw)]


def _in_layer(
    layer: str, shape: Sequence[int], n: int, total: int, kind: str, draw: random.Random
) -> Iterator[WeightFault]:
    size = math.prod(shape)
    share = min(round(size * n / total), 32 * size)
    seen: set[WeightFault] = set()
    while len(seen) < share:
        fault = WeightFault(layer, tuple(draw.randint(0, d - 1) for d in shape), draw.randint(0, 31), kind)
        if fault not in seen:
            seen.add(fault)
            yield fault


def drawn(faults: Sequence[WeightFault], n: int, seed: int, *labels: str | int) -> list[WeightFault]:
    """`n` different faults of a sequence (all of them if it has no more), by the stream that seed and labels name."""
    return [faults[int(i)] for i in distinct(len(faults), min(n, len(faults)), seed, "faults", *labels)]


def per_layer(
    shapes: Shapes,
    seed: int = 42,
    error: float = 0.01,
    t: float = 2.58,
    p: float = 0.5,
    bits: Sequence[int] = ALL_BITS,
    kinds: Sequence[str] = ("flip",),
) -> list[WeightFault]:
    """So many faults of each layer that the layer's own proportion is known to within `error`.

    >>> faults = per_layer({"conv1": (16, 3, 3, 3), "linear": (10, 64)}, error=0.05)
    >>> [sum(f.layer == layer for f in faults) for layer in ("conv1", "linear")]
    [635, 645]
    """
    strata = {layer: _Kinds({layer: shape}, bits, kinds) for layer, shape in shapes.items()}
    return _each_known(strata, seed, error, t, p)


def per_bit(
    shapes: Shapes,
    seed: int = 42,
    error: float = 0.01,
    t: float = 2.58,
    p: float = 0.5,
    bits: Sequence[int] = ALL_BITS,
    kinds: Sequence[str] = ("flip",),
) -> list[WeightFault]:
    """So many faults of each bit, over all layers, that the bit's own proportion is known to within `error`."""
    strata = {f"bit {bit}": _Kinds(shapes, (bit,), kinds) for bit in bits}
    return _each_known(strata, seed, error, t, p)


def _each_known(strata: Mapping[str, Sequence[WeightFault]], seed: int, *precision: float) -> list[WeightFault]:
    """So many faults of each stratum that its own proportion is known to `precision`: error, t, p of sample_size."""
    return stratified(strata, {name: sample_size(len(all_), *precision) for name, all_ in strata.items()}, seed)


def stratified(strata: Mapping[str, Sequence[WeightFault]], n: Mapping[str, int], seed: int = 42) -> list[WeightFault]:
    """`n[name]` faults of each stratum (all of it where it has no more), stratum by stratum.

    strata: by name, sequences of faults such as those of strata.strata_of. A stratum's draw depends on its name
    and on the seed, not on the others.
    """
    unknown = sorted(set(n) - set(strata))
    if unknown:
        raise ValueError(f"no strata {', '.join(unknown)}; there are {', '.join(strata)}")
    return list(chain.from_iterable(drawn(strata[name], n.get(name, 0), seed, name) for name in strata))


def by_layer_and_bits(
    shapes: Shapes,
    seed: int = 42,
    error: float = 0.01,
    t: float = 2.58,
    kinds: Sequence[str] = ("flip",),
    deviations: Mapping[str, float] = DEVIATIONS,
    minimum: int = 10,
) -> list[WeightFault]:
    """A stratified list by layer and group of bits, shared out after Neyman (1934).

    n = (t sum(W S) / error)**2 for a critical rate known to within `error`, W a stratum's share of all faults and S
    its `deviations`, by groups of bits as in strata.BITS; `minimum` faults a stratum. Its rate must be estimated
    stratum by stratum: bit 30 is in the list far more often than in the network.
    """
    names = list(product(shapes, BITS))
    strata = {f"{layer}, bits {label}": _Kinds({layer: shapes[layer]}, BITS[label], kinds) for layer, label in names}
    sizes = [len(all_) for all_ in strata.values()]
    weights, spread = [size / sum(sizes) for size in sizes], [deviations[label] for _, label in names]
    total = math.ceil((t * sum(w * s for w, s in zip(weights, spread, strict=True)) / error) ** 2)
    shares = neyman(total, weights, spread, sizes=sizes, minimum=minimum)
    return stratified(strata, dict(zip(strata, shares, strict=True)), seed)


def exhaustive(
    shapes: Shapes, bits: Sequence[int] = ALL_BITS, kinds: Sequence[str] = ("flip",), at_most: int = LISTED
) -> list[WeightFault]:
    """Every fault, for small layers; more than `at_most` is a ValueError that says how many there are.

    >>> len(exhaustive({"linear": (10, 64)}, kinds=("stuck0", "stuck1")))
    40960
    """
    every = _Kinds(shapes, bits, kinds)
    if len(every) > at_most:
        raise ValueError(f"{len(every):,} faults, more than {at_most:,}: choose fewer layers or bits, or draw a sample")
    return list(every)


class _Kinds(Sequence[WeightFault]):
    """Every fault of some bits and kinds of some layers, kind by kind, without listing them."""

    def __init__(self, shapes: Shapes, bits: Sequence[int], kinds: Sequence[str]) -> None:
        self.parts = [WeightBits(shapes, bits, kind) for kind in kinds]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, number):  # type: ignore[no-untyped-def]
        part, place = divmod(number, len(self.parts[0]))
        return self.parts[part][place]
