"""Does training for robustness to parameter noise also lower the critical rate under bit flips?

Five trainings of a small CNN on digits, those of mismatch_quickstart (what is trained there is found here), three seeds
each; in every network the same faults, drawn in each cell of layer and bit. Intervals (95 %, Student's t) are between
seeds: what holds for networks trained so, not for one network.

Measured: adversarial training halves it. 0.73 % of all outcomes are critical (0.57 to 0.89) against 1.43 % (1.07 to
1.79) after standard training, 0.70 points less seed by seed (0.36 to 1.04), for 0.6 points of accuracy. Forward noise
adds nothing to it, and alone, like dropout, makes no difference that three seeds could show (1.35 % and 1.32 %). In all
of them nearly everything critical comes from bit 30.

    python train.py -exp=fault_robust_training [-size=demo]             trains 15 networks, runs 15 x 1,000 faults
    python make_figures.py -exp=fault_robust_training [-size=demo]      draws what they did

The figure and its table go to figures/fault_robust_training.{png,pdf,csv,md,tex}. `-size=demo` is smaller: trainings
as in the quickstart's demo, and 4 faults of a bit in each layer instead of 12, too few to tell methods apart surely.
"""

from pathlib import Path

from gridrun import configure, run, split
from gridrun.architectures import digits_cnn
from gridrun.figures import legend, save
from gridrun.stats import t_interval
from gridrun.table import Deviation, Table
from gridrun.tasks.fault_grid import campaigns, joined_by

SIZES = {
    "full": {"n_epochs": [30, 10], "n_attack_steps": 10, "n_faults": 12},
    "demo": {"n_epochs": [18, 6], "n_attack_steps": 3, "n_faults": 4},
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
    "accuracy": "Clean accuracy (%)",
    "all": "Critical rate (%)",
    "30": "Critical rate of bit 30 (%)",
    "difference": "Less standard training's (points)",
}
BIT = "Bit of the weight (31 sign, 30 to 23 exponent, 22 to 0 mantissa)"
FIGURE = Path(__file__).parents[1] / "figures" / Path(__file__).stem


def setting(size):
    return SIZES[size].__getitem__


def train_grid():
    by_size = {key: f"{{setting({{size}})({key})}}" for key in SIZES["full"]}
    grid = campaigns(digits_cnn.make(attack_size_mismatch=0.1))
    grid = configure(grid, {"size": "full", "setting": setting, **by_size})
    return split(split(grid, METHODS), "seed", [0, 1, 2])


def measure():
    """One point a network, with its accuracy and its critical rates in percent: by bit, "all", and "difference"."""
    points = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    found = []
    for point, campaign in zip(points, joined_by(points, *METHODS, "seed").values()):
        rates = {"all": campaign.rates("all")[""], **campaign.rates("bits")}
        percent = {key: 100 * rate.rate for key, rate in rates.items()}
        found.append({**point, **percent, "accuracy": 100 * campaign.accuracy})
    standard = {point["seed"]: point["all"] for point, name in zip(found, methods(found)) if name == "Standard"}
    return [{**point, "difference": point["all"] - standard.get(point["seed"], float("nan"))} for point in found]


def methods(found):
    return [str(LABELS.get(name, name)) for name in METHOD.column(found, LABELS)]


def between_seeds(found, keys):
    """The mean of each key in its interval between seeds, by method: a frame."""
    import pandas

    by_method = pandas.DataFrame(found).assign(Method=methods(found)).groupby("Method")
    means = [(name, key, rows[key].mean(), *bounds(rows[key].tolist())) for name, rows in by_method for key in keys]
    return pandas.DataFrame(means, columns=["Method", "bits", "rate", "low", "high"])


def bounds(values):
    return t_interval(values) if len(values) > 1 else (values[0], values[0])


def visualize():
    from gridrun.faults import cells, drawing

    found = measure()
    bits = list(cells.bit_groups())
    figure = drawing.grid_of_panels([1, 2.4], [1], height_mm=68)
    of_all, by_bit = between_seeds(found, ["all"]), between_seeds(found, bits)
    drawing.intervals(of_all, "Method", "Method", ORDER, "", figure.axes[0], hue_order=ORDER, linear_to=None)
    beside = [ORDER.index(name) + 0.2 for name in methods(found)]
    figure.axes[0].plot(beside, [point["all"] for point in found], ".", color="0.6", markersize=3)  # a network each
    figure.axes[0].tick_params(axis="x", rotation=30)
    drawing.intervals(by_bit, "bits", "Method", bits, BIT, figure.axes[1], hue_order=ORDER)
    save(legend(figure, source=1), FIGURE)

    table = Table(found, METHOD, ["accuracy", "all", "difference", "30"], LABELS, {"Method": ORDER})
    table.save(FIGURE, bold=["max", "min", None, "min"])
    table.show(bold=["max", "min", None, "min"])
