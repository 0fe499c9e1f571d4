"""How much a clustered sample tells: faults drawn from a population, and for each fault images drawn for it.

Let there be N faults and M images, and let P_i be the share of the M images for which fault i is critical. The
rate is P = mean P_i. Draw n faults, and for each of them m images, both without replacement; p_i is the share seen.

The mean of the p_i is unbiased, since E(p_i | fault i) = P_i. Its variance is that of the faults' own rates plus
the mean of what the images add, V = V1(E2) + E1(V2) (Cochran, Sampling Techniques, 3rd ed. 1977, chapter 10):

    V = (1 - n/N) S1^2 / n + (1 - m/M) S2^2 / (n m)
    S1^2 = sum_i (P_i - P)^2 / (N - 1)                  between faults
    S2^2 = mean_i M / (M - 1) P_i (1 - P_i)             within a fault, over images

The variance of the p_i that one sees, s1^2 = sum (p_i - p)^2 / (n - 1), holds both parts: its expectation is
S1^2 + (1 - m/M) S2^2 / m. Were it put for S1^2, the first term would have (1 - n/N) (1 - m/M) S2^2 / (n m) of the
second already, so what is missing is n/N of it, and this is unbiased, with s2^2 = mean m / (m - 1) p_i (1 - p_i):

    v = (1 - n/N) s1^2 / n + (n/N) (1 - m/M) s2^2 / (n m)

Where n/N is small v is s1^2 / n, whatever m, and m may then differ from fault to fault (chapter 11).
tests/faults/test_clusters.py finds both by enumerating every sample of a small population.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def rates_of(critical: Any, n: Any) -> tuple[np.ndarray, np.ndarray]:
    """The rate of each fault and the number of its images, both (faults,); ValueError for impossible counts.

    >>> rates_of([1, 5], 10)
    (array([0.1, 0.5]), array([10., 10.]))
    """
    critical = np.asarray(critical, dtype=float).ravel()
    images = np.broadcast_to(np.asarray(n, dtype=float), critical.shape)
    if critical.size == 0:
        raise ValueError("no faults: want the counts of one at least")
    wrong = ~((images > 0) & (critical >= 0) & (critical <= images))
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"fault {i}: {critical[i]:g} critical of {images[i]:g} images")
    return critical / images, images


def within_variance(critical: Any, n: Any) -> float:
    """s2^2: the mean over faults of the variance between the images of one fault.

    Where no fault saw two images it cannot be told; p (1 - p), which it never exceeds, then stands for it.

    >>> within_variance([1, 0], 2)  # (2 / 1 * 1/4 + 0) / 2
    0.25
    """
    rates, images = rates_of(critical, n)
    many = images > 1
    if not many.any():
        return float(rates.mean() * (1 - rates.mean()))
    rates, images = rates[many], images[many]
    return float(np.mean(images / (images - 1) * rates * (1 - rates)))


def icc(critical: Any, n: Any) -> float:
    """Intraclass correlation of the images of one fault, by analysis of variance (Donner and Koval, Biometrics 1980).

    1: a fault is critical for all images or for none. 0: the fault does not matter. Two faults and a fault of two
    images at least; 0 where no two outcomes differ.

    >>> icc([10, 0, 0], 10)
    1.0
    >>> round(icc([5, 5, 5], 10), 3)  # more alike than chance
    -0.111
    """
    rates, images = rates_of(critical, n)
    total, faults = images.sum(), len(rates)
    if faults < 2 or total == faults:
        raise ValueError("an intraclass correlation needs two faults, and two images of a fault")
    rate = rates @ images / total
    between = images @ (rates - rate) ** 2 / (faults - 1)
    within = images @ (rates * (1 - rates)) / (total - faults)
    size = (total - images @ images / total) / (faults - 1)
    spread = between + (size - 1) * within
    return float((between - within) / spread) if spread > 0 else 0.0


def design_effect(correlation: float, n_images: float) -> float:
    """By how much the variance exceeds that of independent trials: 1 + (m - 1) ICC (Kish, Survey Sampling, 1965).

    >>> design_effect(0.87, 10_000)  # 10,000 images of a fault tell as much as 1.15 independent trials
    8700.13
    """
    return 1 + (n_images - 1) * correlation


def floored_variance(rates: np.ndarray) -> float:
    """s1^2 of the rates and of two faults more, one critical for no image and one for all.

    n faults without a critical outcome do not say that there is none among those not drawn. The two pseudo-faults
    are Agresti and Coull's (The American Statistician 1998), counted in faults, since a fault not seen may be
    critical for every image. They add about 1 / n.

    >>> floored_variance(np.zeros(98))  # 1/100, rather than 0
    0.01
    """
    return float(np.var(np.append(rates, (0.0, 1.0)), ddof=1))


def variance_of_rate(
    critical: Any, n: Any, population: int | None = None, n_images: int | None = None, floor: bool = True
) -> float:
    """v of the module's text, of the mean of the faults' rates; `floor` adds the two pseudo-faults to s1^2.

    population: N, None for endless. n_images: M; None says that each fault saw all images, so the second term is 0.

    >>> round(variance_of_rate([0, 10], 10, floor=False), 3)  # s1^2 / 2
    0.25
    >>> variance_of_rate([0, 10], 10, population=2)
    0.0
    """
    rates, images = rates_of(critical, n)
    faults = len(rates)
    if population is not None and population < faults:
        raise ValueError(f"population={population}, but {faults} faults were drawn from it without replacement")
    f1 = faults / population if population is not None else 0.0
    s1 = floored_variance(rates) if floor else float(np.var(rates, ddof=1)) if faults > 1 else 0.0
    v = (1 - f1) * s1 / faults
    if n_images is not None and f1 > 0:
        unseen = np.mean((1 - images / n_images) / images)
        v += f1 * unseen * within_variance(critical, n) / faults
    return float(v)


def effective_size(
    critical: Any, n: Any, population: int | None = None, n_images: int | None = None, precision: float = 1.0
) -> float:
    """The number of independent trials that would tell the rate as well as these faults: precision p (1 - p) / v.

    Without the correction for a finite population it lies between the number of faults (each critical for all of
    its images or for none; also where nothing was critical, since then nothing is known of the clusters) and the
    number of (fault, image) pairs. Infinite where every fault and every image was seen. precision: below 1 where v
    is known from few faults.

    >>> effective_size([0] * 50, 100)
    50.0
    """
    rates, images = rates_of(critical, n)
    p, v = float(rates.mean()), floored_variance(rates) / len(rates)
    endless = float(np.clip(precision * p * (1 - p) / v, len(rates), images.sum()))
    left = variance_of_rate(critical, n, population, n_images) / v  # 1 - f1, and what unseen images add
    return endless / left if left > 0 else float("inf")


def best_images_per_fault(between: float, within: float, fault_cost: float, n_images: int) -> int:
    """How many images to show each fault, so that a given cost tells most.

    m = sqrt(c1 / c2 * S2^2 / Su^2), Su^2 = S1^2 - S2^2 / M, where a fault costs c1 and each of its images c2 more
    (Cochran, chapter 10); 1 at least, M at most. fault_cost: c1 / c2, a fault's own cost in images.

    >>> best_images_per_fault(0.195, 0.045, fault_cost=16, n_images=10_000)  # bit 30 of ResNet20
    2
    >>> best_images_per_fault(2.7e-3**2, 1.3e-3, fault_cost=16, n_images=10_000)  # bits 23 to 26
    54
    """
    if within <= 0 or fault_cost <= 0:
        return 1
    own = between - within / n_images
    if own <= 0:
        return n_images
    return int(np.clip(round(float(np.sqrt(fault_cost * within / own))), 1, n_images))
