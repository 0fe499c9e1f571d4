"""How long does a network last on phase-change memory, and what training makes it last?

The weights of a ResNet are programmed as pairs of devices, which drift and are noisy at each read (faults/pcm.py); the
network is tested from 25 seconds to a year later, with and without global drift compensation. Trained in three ways:
standard; with forward noise relative to half the range of a layer's weights, these clipped at two standard deviations
(Joshi and others 2020); and so with the robustness loss on top, three attack steps (Buechel, Faber, Muir, ICLR 2022).

Measured at size small (2 seeds, 25 programmings of each): a year on, compensated, standard training is at 94.9 %, noise
at 98.0 and both at 98.3, of 98.3, 98.6 and 98.7 % with digital weights (dotted); the last two differ by less than their
draws do. Without compensation no training helps: 34 to 37 % after an hour, chance after a month.

    python train.py -exp=pcm_experiment [-size=small]
    python make_figures.py -exp=pcm_experiment [-size=small]

Sizes: small is 8x8 digits, offline; real 6,000 images of Fashion-MNIST, ten minutes; paper the ResNet32 on CIFAR-10.
The figure and its table go to figures/pcm_experiment.{png,pdf,csv,md,tex}.
"""

from experiments._robust import DATA, LONG, figure_path
from gridrun import UsageError, get, run, split
from gridrun.architectures import resnet32
from gridrun.figures import colour_of, legend, lines, panels, save
from gridrun.stats import mean
from gridrun.table import Table
from gridrun.tasks.evaluate import mismatch_accuracy
from gridrun.tasks.pcm import pcm_accuracy

SIZES = {
    "tiny": {"n_blocks": 1, "width": 4, "n_epochs": [1, 0], "n_attack_steps": 1, "n_repeats": 8, "n_images": 100},
    "small": {"n_blocks": 1, "width": 8, "n_epochs": [15, 5], "n_repeats": 25},
    "real": {
        "dataset": "fashion_mnist",
        "n_blocks": 1,
        "width": 8,
        "n_epochs": [8, 2],
        "training_samples": 6000,
        "n_repeats": 25,
        "n_images": 2000,
    },
    "paper": {
        "dataset": "cifar10",
        "n_blocks": 5,
        "width": 16,
        "n_epochs": resnet32.defaults["n_epochs"],
        "learning_rate": resnet32.defaults["learning_rate"],
        "batch_size": 256,
        "validation_fraction": 0.1,
        "checkpoint": "best",
        "n_repeats": 25,
        "launch_settings": LONG,
    },
}
OF_ALL = {  # what a size does not say
    "dataset": "digits",
    "learning_rate": [5e-3, 1e-3],
    "batch_size": 100,
    "training_samples": None,
    "validation_fraction": 0.0,
    "checkpoint": "final",
    "n_attack_steps": 3,
    "n_images": None,
    "launch_settings": {},
}
NOISE = {"eta_train": 0.11, "eta_mode": "range", "clipping_alpha": 2.0}
WAYS = {
    "Standard": {},
    "Noise": NOISE,
    "Noise and adversarial": {**NOISE, "beta_robustness": 0.1, "attack_size_mismatch": 0.05},
}
ORDER = list(WAYS)
TIMES = {25.0: "25 s", 3600.0: "1 hour", 86400.0: "1 day", 2592000.0: "1 month", 31536000.0: "1 year"}
LABELS = {
    **TIMES,
    True: "with compensation",
    False: "without compensation",
    "method": "Method",
    "is_compensated": "Drift",
    "seconds": "After programming",
    "accuracy": "Test accuracy (%)",
    "digital": "Digital (%)",
}


def setting(size):
    """What a size says: setting("small")("width")."""
    if size not in SIZES:
        raise UsageError(f"size={size!r}; there are {', '.join(SIZES)}")
    return {**OF_ALL, **SIZES[size]}.__getitem__


def train_grid():
    by_size = {key: f"{{setting({{size}})({key})}}" for key in {**OF_ALL, **SIZES["small"]}}
    common = {**by_size, "beta_robustness": 0.0, "size": "small", "setting": setting}
    grid = [{**resnet32.make(), **common, **keys, "method": name} for name, keys in WAYS.items()]
    return split(grid, "seed", [0, 1])


def measure():
    """Accuracy in percent of each programming at each time, with and without compensation; "digital" before it."""
    grid = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    grid = run(grid, mismatch_accuracy, store_key="digital")("{*}", 0.0, n_images="{n_images}")
    grid = split(split(grid, "is_compensated", [True, False]), "seconds", TIMES)
    programmed = {"n_repeats": "{n_repeats}", "is_compensated": "{is_compensated}", "n_images": "{n_images}"}
    grid = run(grid, pcm_accuracy, store_key="accuracy")("{*}", "{seconds}", **programmed)
    return [{**point, **{key: 100 * point[key] for key in ("digital", "accuracy")}} for point in grid]


def draw(points, label, axes):
    """Accuracy against time, a line a method, in the range of 90 % of its programmings; dotted: digital weights."""
    frame = Table(points, ["method", "seconds"], "accuracy").samples()
    data = DATA.get(name := get(points[0], "dataset"), name)
    lines(frame, "seconds", "accuracy", "method", label, f"Test accuracy, {data} (%)", ORDER, axes)
    for name in ORDER:
        if digital := [point["digital"] for point in points if point["method"] == name]:
            axes.axhline(mean(digital), color=colour_of(name, ORDER), linestyle=":", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(list(TIMES), list(TIMES.values()))
    axes.minorticks_off()


def visualize():
    points, figure = measure(), panels([1, 1], height_mm=68)
    for axes, is_compensated in zip(figure.axes, (True, False)):
        shown = [point for point in points if point["is_compensated"] is is_compensated]
        draw(shown, f"Time after programming, {LABELS[is_compensated]} of drift", axes)
    stem = figure_path(__file__, train_grid())
    save(legend(figure), stem)
    axes, columns = ["is_compensated", "method", "seconds"], ["accuracy", "digital"]
    table = Table(points, axes, columns, LABELS, {"method": ORDER, "is_compensated": [True]})
    table.save(stem, bold="max")
    table.show(bold="max")
