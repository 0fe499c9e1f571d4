"""How well does a network keep its accuracy when its parameters are off, and which training helps?

Device mismatch scales every weight and bias by its own 1 + level * N(0, 1); the worst case moves each by at most
the attack's size, in the direction that hurts most. Five ways of training a small CNN on 8x8 digits, three seeds each.

    python train.py -exp=mismatch_quickstart [-size=demo]             trains the 15 networks
    python make_figures.py -exp=mismatch_quickstart [-size=demo]      evaluates and draws them

The figure and its table go to figures/mismatch_quickstart.{png,pdf,csv,md,tex}. `-size=demo` is smaller: 24
epochs instead of 40, 3 attack steps in training instead of 10, 25 draws of mismatch instead of 100. Any other key is
set the same way, such as `-dataset=fashion_mnist`.
"""

from pathlib import Path

from gridrun import configure, reduce_keys, run, split
from gridrun.architectures import digits_cnn
from gridrun.figures import legend, lines, panels, save, violins
from gridrun.stats import SUMMARY
from gridrun.table import Deviation, Table
from gridrun.tasks.evaluate import mismatch_accuracy, worst_case_accuracy

LEVELS = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]
ATTACK_SIZES = [0.0, 0.02, 0.05, 0.1, 0.2]
SIZES = {
    "full": {"n_epochs": [30, 10], "n_attack_steps": 10, "n_repeats": 100},
    "demo": {"n_epochs": [18, 6], "n_attack_steps": 3, "n_repeats": 25},
}
METHODS = {
    "dropout_prob": [0.0, 0.3, 0.0, 0.0, 0.0],
    "noisy_forward_std": [0.0, 0.0, 0.3, 0.0, 0.3],
    "beta_robustness": [0.0, 0.0, 0.0, 0.25, 0.25],
}
METHOD = Deviation(dict.fromkeys(METHODS, 0.0))
ORDER = ["Standard", "Dropout", "Forward noise", "Adversarial", "Both"]
LABELS = {
    "dropout_prob = 0.3": "Dropout",
    "noisy_forward_std = 0.3": "Forward noise",
    "beta_robustness = 0.25": "Adversarial",
    "Forward noise, Adversarial": "Both",
    "level": "Mismatch level",
    "accuracy": "Test accuracy (%)",
    "attack_size": "Attack size",
    "worst_case": "Accuracy under attack (%)",
    "accuracy_mean": "Mean (%)",
    "accuracy_std": "Std (%)",
    "accuracy_min": "Min (%)",
}
LEVEL_AXIS = "Mismatch level (relative std of every parameter)"
ATTACK_AXIS = "Attack size (relative)"
FIGURE = Path(__file__).parents[1] / "figures" / Path(__file__).stem


def setting(size):
    return SIZES[size].__getitem__


def train_grid():
    by_size = {key: f"{{setting({{size}})({key})}}" for key in SIZES["full"]}
    grid = configure(digits_cnn.make(attack_size_mismatch=0.1), {"size": "full", "setting": setting, **by_size})
    return split(split(grid, METHODS), "seed", [0, 1, 2])


def measure():
    """The trained networks under mismatch, and under attack; accuracies in percent."""
    grid = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    noisy = split(grid, "level", LEVELS)
    noisy = run(noisy, mismatch_accuracy, store_key="accuracy")("{*}", "{level}", "{n_repeats}")
    noisy = run(noisy, lambda a: 100 * a, store_key="accuracy")("{accuracy}")
    attacked = split(grid, "attack_size", ATTACK_SIZES)
    attacked = run(attacked, worst_case_accuracy, store_key="worst_case")("{*}", "{attack_size}")
    return noisy, run(attacked, lambda a: 100 * a, store_key="worst_case")("{worst_case}")


def table(noisy):
    reduced = reduce_keys(noisy, "accuracy", SUMMARY, group_by=[*METHODS, "level"])
    columns = [f"accuracy_{name}" for name in SUMMARY]
    return Table(reduced, [METHOD, "level"], columns, LABELS, {"Method": ORDER})


def visualize():
    noisy, attacked = measure()
    figure = panels([2.6, 1], height_mm=68)
    style = {"hue": "Method", "hue_order": ORDER}
    mismatch = Table(noisy, [METHOD, "level"], "accuracy", LABELS).samples()
    violins(mismatch, LABELS["level"], LABELS["accuracy"], **style, x_label=LEVEL_AXIS, axes=figure.axes[0])
    attack = Table(attacked, [METHOD, "attack_size"], "worst_case", LABELS).samples()
    lines(
        attack,
        LABELS["attack_size"],
        LABELS["worst_case"],
        **style,
        x_label=ATTACK_AXIS,
        axes=figure.axes[1],
        level=1.0,
    )
    save(legend(figure), FIGURE)

    numbers, bold = table(noisy), ["max", "min", "max"]
    numbers.show(bold=bold)
    numbers.save(FIGURE, bold=bold)
