"""A population of faults whose critical rates are known, to try statistics on before they meet a network.

`resembling_published` is made of what is known of ResNet20 on CIFAR-10 (the fault list of cad-polito-it/
dnn-benchmarks, 16,627 flips x 10,000 images): 1.28 % of outcomes are critical; 98 % of these at bit 30, 99.9 % at
bits 23 and up; a flip of bit 30 is critical for about nine images of ten, or for next to none; ICC .87.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .strata import BITS

SIZES = {  # weights of ResNet20's layers
    "conv1": 432,
    **{f"layer1.{i}.conv{j}": 2_304 for i in range(3) for j in (1, 2)},
    **{f"layer2.{i}.conv{j}": 9_216 if (i, j) != (0, 1) else 4_608 for i in range(3) for j in (1, 2)},
    **{f"layer3.{i}.conv{j}": 36_864 if (i, j) != (0, 1) else 18_432 for i in range(3) for j in (1, 2)},
    "linear": 640,
}
CRITICAL_RATE = 0.0128
SHARES = {"30": 0.98, "23-29, 31": 0.019, "0-22": 0.001}  # of the critical outcomes, by bits
HIGH, LOW = 0.89, 0.005  # the two sorts of faults in bit 30
LIKE = {"high": 100.0, "30": 2.0, "23-29, 31": 275.0, "0-22": 2000.0}  # a + b of the beta distributions of rates


@dataclass(frozen=True)
class Population:
    """Of each fault the number of critical images among n_images, its bit, and its layer's number: arrays (faults,)."""

    critical: np.ndarray
    bit: np.ndarray
    layer: np.ndarray
    n_images: int = 10_000

    @property
    def rate(self) -> float:
        """The rate that every sample is to find."""
        return float(self.critical.mean() / self.n_images)

    def icc(self) -> float:
        """S1^2 / (S1^2 + S2^2): the share of the variance that lies between faults."""
        rates = self.critical / self.n_images
        between, within = rates.var(), (rates * (1 - rates)).mean()
        return float(between / (between + within))

    def strata(self) -> dict[str, np.ndarray]:
        """The numbers of the faults of each group of bits."""
        found = {name: np.flatnonzero(np.isin(self.bit, bits)) for name, bits in BITS.items()}
        return {name: places for name, places in found.items() if len(places)}


def resembling_published(part: int = 8, seed: int = 0) -> Population:
    """All 32 bits of every `part`-th weight of ResNet20, with rates drawn from the published facts.

    Of a layer's flips of bit 30 the high ones are 44 %, more in the first layers and fewer in the last. Rates within
    a sort of faults follow beta distributions, about as wide as those of the published list.

    >>> population = resembling_published()
    >>> len(population.critical), round(population.rate, 3), round(population.icc(), 2)
    (1073344, 0.013, 0.87)
    """
    random = np.random.default_rng(seed)
    sizes = [-(-size // part) for size in SIZES.values()]
    layer, bit = np.repeat(np.arange(len(sizes)), np.array(sizes) * 32), np.tile(np.arange(32), sum(sizes))
    rates = np.zeros(len(bit))
    for name, bits in BITS.items():
        places, mean = np.flatnonzero(np.isin(bit, bits)), CRITICAL_RATE * SHARES[name] * 32 / len(bits)
        rates[places] = _bit_30(random, mean, layer[places]) if name == "30" else _beta(random, mean, name, len(places))
    return Population(random.binomial(10_000, rates), bit, layer)


def _bit_30(random: np.random.Generator, mean: float, layer: np.ndarray) -> np.ndarray:
    """Rates of flips of bit 30, high or low, (faults,)."""
    share = np.linspace(0.60, 0.42, len(SIZES))[layer]
    share *= (mean - LOW) / (HIGH - LOW) / share.mean()
    is_high = random.random(len(layer)) < share
    return np.where(is_high, _beta(random, HIGH, "high", len(layer)), _beta(random, LOW, "30", len(layer)))


def _beta(random: np.random.Generator, mean: float, like: str, n: int) -> np.ndarray:
    return random.beta(mean * LIKE[like], (1 - mean) * LIKE[like], size=n)
