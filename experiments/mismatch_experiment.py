"""Which training keeps a network's accuracy when every parameter is off by chance?

The main table of Buechel, Faber and Muir (ICLR 2022): three architectures, eight trainings, two seeds each; every
parameter scaled by its own 1 + level * N(0, 1), many times over. What they publish: together, forward noise and
adversarial training win on the CNN and on heartbeats; forward noise alone beats adversarial training alone on
heartbeats and, at levels 0.1 to 0.5, on the CNN; on speech adversarial training alone leads.

    python train.py -exp=mismatch_experiment [-size=real] [--where study=ecg] [-n_threads=2]
    python make_figures.py -exp=mismatch_experiment [-size=real] [--where study=ecg]

Sizes are told in _robust.py; the default trains 48 networks on digits and synthetic sequences in minutes. The figure
and the table (mean, std and min of all draws of both seeds; how probably a draw beats one of standard training, with
the p value of a Mann-Whitney U test over draws, which speaks of these networks and not of others; the published mean)
go to figures/mismatch_experiment.{png,pdf,csv,md,tex}.
"""

from experiments._published import published
from experiments._robust import LEVELS, METHODS, STUDIES, figure_path, networks, title, trained
from gridrun import reduce_keys, run, split
from gridrun.figures import legend, save, violins
from gridrun.stats import SUMMARY, flat, mann_whitney
from gridrun.table import Table
from gridrun.tasks.evaluate import mismatch_accuracy

ORDER = list(METHODS)
LABELS = {
    "network": "Network",
    "method": "Method",
    "level": "Level",
    "accuracy": "Test accuracy (%)",
    "accuracy_mean": "Mean (%)",
    "accuracy_std": "Std (%)",
    "accuracy_min": "Min (%)",
    "effect": "Beats standard",
    "p_value": "p",
    "published": "Published mean, full size (%)",
}
LEVEL_AXIS = "Mismatch level (relative std of every parameter)"


def train_grid():
    return networks()


def measure():
    """The accuracies of every network under every level, in percent."""
    grid = split(trained(train_grid()), "level", LEVELS)
    arguments = ("{*}", "{level}", "{n_repeats}")
    grid = run(grid, mismatch_accuracy, store_key="accuracy")(*arguments, n_images="{n_images}")
    return [{**point, "network": title(point), "accuracy": 100 * point["accuracy"]} for point in grid]


def table_of(points):
    """Mean, std and min of the draws; against those of standard training, and beside the published mean."""
    rows = reduce_keys(points, "accuracy", {**SUMMARY, "draws": flat}, group_by=["study", "network", "method", "level"])
    standard = {(r["study"], r["level"]): r["accuracy_draws"] for r in rows if r["method"] == "Standard"}
    for row in rows:
        row |= {"effect": None, "p_value": None, "published": published(row["study"], row["method"], row["level"])}
        if row["method"] != "Standard" and (row["study"], row["level"]) in standard:
            test = mann_whitney(row["accuracy_draws"], standard[row["study"], row["level"]])
            row |= {"effect": test.effect, "p_value": f"{test.p_value:.1g}"}
    columns = [*(f"accuracy_{name}" for name in SUMMARY), "effect", "p_value", "published"]
    return Table(rows, ["network", "level", "method"], columns, LABELS, {"method": ORDER})


def visualize():
    from gridrun.faults.drawing import grid_of_panels

    points = measure()
    studies = [study for study in STUDIES if any(point["study"] == study for point in points)]
    figure = grid_of_panels([1], [1] * len(studies), height_mm=8 + 52 * len(studies))
    for axes, study in zip(figure.axes, studies):
        own = [point for point in points if point["study"] == study]
        frame = Table(own, ["method", "level"], "accuracy", LABELS).samples()
        violins(frame, "Level", LABELS["accuracy"], "Method", LEVEL_AXIS, hue_order=ORDER, axes=axes)
        axes.set_title(own[0]["network"], loc="left", fontsize=7, fontweight="bold")
    stem = figure_path(__file__, train_grid())
    save(legend(figure), stem)

    table, bold = table_of(points), ["max", None, "max", None, None, None]
    table.show(bold=bold)
    table.save(stem, bold=bold)
