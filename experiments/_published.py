"""Test accuracies that Buechel, Faber and Muir (ICLR 2022) publish: percent, by network, method and mismatch level.

What they call AMP is standard training (see amp_experiment), so it stands under a name that no method here has. Both:
beta is 0.1 with forward noise, for speech 0.5.
"""

METHODS = ["Both", "Adversarial", "Standard", "Forward noise", "AWP", "Dropout", "AMP as published"]
DATA = {  # that of their networks
    "cnn": "Fashion-MNIST, batch_standardize=True",
    "ecg": "MIT-BIH, all records",
    "speech": "Speech Commands",
}
MEAN = {
    "cnn": {
        0.0: [91.88, 92.11, 91.30, 92.00, 92.35, 92.42, 91.34],
        0.1: [91.77, 91.59, 90.45, 91.94, 92.19, 91.13, 90.42],
        0.3: [91.25, 89.64, 82.70, 91.01, 89.88, 84.94, 83.13],
        0.5: [89.36, 85.96, 61.14, 87.82, 82.59, 71.74, 60.60],
        0.7: [84.19, 79.39, 36.93, 78.48, 65.38, 53.91, 36.79],
    },
    "ecg": {
        0.0: [99.07, 99.10, 99.07, 99.25, 99.22, 98.10, 99.40],
        0.5: [94.86, 86.22, 76.55, 94.44, 80.32, 87.56, 73.36],
        0.7: [82.02, 70.07, 58.67, 80.00, 63.44, 74.24, 56.64],
    },
    "speech": {
        0.0: [81.52, 82.48, 80.86, 81.33, 82.38, 79.02, 80.83],
        0.5: [72.67, 73.40, 57.16, 67.41, 63.98, 69.80, 59.91],
        0.7: [58.03, 60.23, 40.70, 49.19, 44.83, 55.96, 42.88],
    },
}
STD = {
    "cnn": {
        0.1: [0.12, 0.26, 0.37, 0.09, 0.16, 0.85, 0.35],
        0.3: [0.22, 0.65, 2.45, 0.26, 0.95, 3.06, 2.13],
        0.5: [0.73, 1.87, 6.92, 0.88, 3.66, 5.84, 7.36],
        0.7: [2.63, 4.40, 7.73, 2.95, 8.27, 9.03, 7.42],
    },
}
MIN = {
    "cnn": {
        0.1: [91.29, 90.91, 88.80, 91.69, 91.78, 86.50, 89.37],
        0.3: [90.36, 87.10, 71.99, 90.01, 85.11, 72.97, 75.73],
        0.5: [86.84, 76.28, 42.46, 84.37, 66.73, 53.10, 38.67],
        0.7: [74.25, 59.15, 20.17, 69.67, 40.66, 22.49, 18.53],
    },
}


def published(study, method, level, numbers=MEAN):
    """The published mean (or STD, or MIN) in percent, None where there is none.

    >>> published("cnn", "AWP", 0.5), published("cnn", "AWP", 0.5, MIN), published("ecg", "ABCD", 0.5)
    (82.59, 66.73, None)
    """
    row = numbers.get(study, {}).get(level, ())
    return dict(zip(METHODS, row)).get(method)


def places(means):
    """The place of each method by its mean, 1 the best; methods that tie share one.

    >>> places({"AWP": 63.44, "Both": 82.02, "Dropout": 63.44})
    {'AWP': 2, 'Both': 1, 'Dropout': 2}
    """
    return {method: 1 + sum(other > mean for other in means.values()) for method, mean in means.items()}
