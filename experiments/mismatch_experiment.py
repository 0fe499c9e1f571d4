"""Which training keeps a network's accuracy when every parameter is off by chance?

The main table of Buechel, Faber and Muir (ICLR 2022): three architectures, eight trainings, two seeds each; every
parameter scaled by its own 1 + level * N(0, 1), many times over. What they publish: together, forward noise and
adversarial training win on the CNN from level 0.3 and on heartbeats from 0.5 (of less, nothing is published there but
0); forward noise alone beats adversarial training alone on heartbeats and, at levels 0.1 to 0.5, on the CNN; on speech
adversarial training alone leads.

Measured at size real (docs/robust_training.md): on Fashion-MNIST at level 0.5 the order of the methods is the published
one: 85.5 % both, 85.1 forward noise, 83.7 adversarial, 82.0 AWP, 81.4 dropout, 80.2 standard. At 0 and 0.1 standard
training is ahead of them all.
On heartbeats forward noise (81.2) and both (80.2) lead as published, on spoken digits both (93.7) and forward noise.

    python train.py -exp=mismatch_experiment [-size=real] [--where study=ecg] [-n_threads=2]
    python make_figures.py -exp=mismatch_experiment [-size=real] [--where study=ecg]

Sizes are told in _robust.py; the default trains 48 networks on digits and synthetic sequences, seven minutes on two
cores. The figure and the table go to figures/mismatch_experiment.{png,pdf,csv,md,tex}: mean, std and min of all draws
of both seeds; how probably a draw beats one of standard training, with the p value of a Mann-Whitney U test over draws,
which speaks of these networks and not of others; and what is published. The order of the methods beside that of the
published means goes to mismatch_experiment_order.{csv,md,tex}.
"""

from experiments._published import MEAN, MIN, STD, places, published
from experiments._robust import LEVELS, METHODS, STUDIES, figure_path, networks, title, title_beside_published, trained
from gridrun import reduce_keys, run, split
from gridrun.figures import legend, save, violins
from gridrun.stats import SUMMARY, flat, mann_whitney
from gridrun.table import Table
from gridrun.tasks.evaluate import mismatch_accuracy

ORDER = list(METHODS)
LABELS = {
    "network": "Network",
    "beside": "Network",
    "method": "Method",
    "level": "Level",
    "accuracy": "Test accuracy (%)",
    "accuracy_mean": "Mean (%)",
    "accuracy_std": "Std (%)",
    "accuracy_min": "Min (%)",
    "effect": "Beats standard",
    "p_value": "p",
    "published_mean": "Published mean (%)",
    "published_std": "Published std (%)",
    "published_min": "Published min (%)",
    "place": "Place by the mean (published)",
}
PUBLISHED = {"published_mean": MEAN, "published_std": STD, "published_min": MIN}
LEVEL_AXIS = "Mismatch level (relative std of every parameter)"


def train_grid():
    return networks()


def measure():
    """The accuracies of every network under every level, in percent."""
    grid = split(trained(train_grid()), "level", LEVELS)
    arguments = ("{*}", "{level}", "{n_repeats}")
    grid = run(grid, mismatch_accuracy, store_key="accuracy")(*arguments, n_images="{n_images}")
    return [{**point, "network": title(point), "accuracy": 100 * point["accuracy"]} for point in grid]


def summed_up(points):
    """Mean, std and min of the draws; against those of standard training, and beside what is published."""
    statistics, axes = {**SUMMARY, "draws": flat}, ["study", "network", "beside", "method", "level"]
    points = [{**point, "beside": title_beside_published(point)} for point in points]
    rows = reduce_keys(points, "accuracy", statistics, group_by=axes)
    standard = {(r["study"], r["level"]): r["accuracy_draws"] for r in rows if r["method"] == "Standard"}
    for row in rows:
        place = row["study"], row["method"], row["level"]
        row |= {"effect": None, "p_value": None}
        row |= {name: published(*place, numbers) for name, numbers in PUBLISHED.items()}
        if row["method"] != "Standard" and row["level"] and (row["study"], row["level"]) in standard:
            test = mann_whitney(row["accuracy_draws"], standard[row["study"], row["level"]])
            row |= {"effect": test.effect, "p_value": f"{test.p_value:.1g}"}
    return rows


def table_of(rows):
    columns = [*(f"accuracy_{name}" for name in SUMMARY), "effect", "p_value", *PUBLISHED]
    return Table(rows, ["beside", "level", "method"], columns, LABELS, {"method": ORDER})


def table_of_order(rows):
    """Which place the mean of a method has, here and in what is published, among the methods that are in both."""
    found = []
    for study, level in dict.fromkeys((row["study"], row["level"]) for row in rows):
        both = [r for r in rows if (r["study"], r["level"]) == (study, level) and r["published_mean"] is not None]
        ours, theirs = (places({r["method"]: r[key] for r in both}) for key in ("accuracy_mean", "published_mean"))
        found += [{**row, "place": f"{ours[row['method']]} ({theirs[row['method']]})"} for row in both]
    return Table(found, ["network", "level", "method"], "place", LABELS, {"method": ORDER})


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

    rows = summed_up(points)
    table, order, bold = table_of(rows), table_of_order(rows), ["max", None, "max", *[None] * 5]
    table.show(bold=bold)
    table.save(stem, bold=bold)
    order.show(wide=True)
    order.save(stem.with_name(f"{stem.name}_order"))
