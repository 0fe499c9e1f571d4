"""What others published of their fault campaigns, to stand beside one's own.

Source: Bolchini, Bosio, Cassano, Miele, Pappalardo and others, "Deep Neural Network Models for Reliability Studies",
https://github.com/cad-polito-it/dnn-benchmarks: single bit flips in weights, drawn as in sampling.published, each with
all 10,000 test images of CIFAR-10, on a GPU (with TF32 in some layers, which masks small changes of a weight).
"""

from __future__ import annotations

SOURCE = "cad-polito-it/dnn-benchmarks"

_NAMES = ("masked", "non_critical", "critical")
TOTALS: dict[str, dict[str, float]] = {  # in percent of all injections
    name: dict(zip(_NAMES, shares))
    for name, shares in {
        "ResNet20": (41.65, 57.07, 1.28),
        "ResNet32": (43.08, 55.47, 1.44),
        "ResNet44": (42.39, 56.32, 1.29),
        "MobileNetV2": (65.09, 32.42, 2.49),
        "VGG11": (78.62, 20.24, 1.15),
        "DenseNet121": (83.04, 15.89, 1.07),
    }.items()
}
