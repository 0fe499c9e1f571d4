"""Evaluations, figure and table of a page of the study: accuracies by network and method, against what they were under.

`found` has the points of each evaluation by the key that was varied, with "accuracy" in percent:
{"level": [...], "attack_size": [...]}. A study or a method that is not among the points is not drawn.
"""

from experiments._published import published
from experiments._robust import figure_path, title_beside_published
from experiments._studies import panels
from gridrun import get, reduce_keys, run, split
from gridrun.figures import legend, lines, save
from gridrun.stats import SUMMARY, flat
from gridrun.table import Table
from gridrun.tasks.evaluate import constant_noise_accuracy, mismatch_accuracy, worst_case_accuracy

UNDER = {  # the keys that are varied: how tables and axes call them, and which part of the values a band holds
    "level": ("Mismatch", "Mismatch level (relative std)", 0.5),
    "std": ("Noise of one size", "Noise of one size (std)", 0.5),
    "attack_size": ("Attack", "Attack size (relative)", 1.0),
    "constant_size": ("Attack of one size", "Attack of one size", 1.0),
}
LABELS = {
    "network": "Network and data",
    "method": "Method",
    "under": "Under",
    "strength": "Strength",
    "accuracy": "Test accuracy (%)",
    "accuracy_mean": "Mean (%)",
    "accuracy_std": "Std (%)",
    "accuracy_min": "Min (%)",
    "published": "Published mean (%)",
}
BOLD = ["max", "min", "max", None]
EVALUATIONS = {  # the task, and what it is called with
    "level": (mismatch_accuracy, ("{*}", "{level}", "{n_repeats}"), {}),
    "std": (constant_noise_accuracy, ("{*}", "{std}", "{n_repeats}"), {}),
    "attack_size": (worst_case_accuracy, ("{*}", "{attack_size}", "{evaluation_steps}"), {"n_starts": "{n_starts}"}),
    "constant_size": (
        worst_case_accuracy,
        ("{*}", 0.0, "{evaluation_steps}"),
        {"attack_size_constant": "{constant_size}", "n_starts": "{n_starts}"},
    ),
}


def evaluate(grid, **strengths):
    """Accuracies in percent of trained networks: evaluate(grid, level=[0.0, 0.1], attack_size=[0.05]) is `found`."""
    found = {}
    for key, values in strengths.items():
        task, arguments, more = EVALUATIONS[key]
        points = run(split(grid, key, values), task, store_key="accuracy")(*arguments, n_images="{n_images}", **more)
        found[key] = [{**point, "accuracy": 100 * point["accuracy"]} for point in points]
    return found


def draw(page, grid, found, order):
    """Draw the figure of a page, and write and print its table."""
    stem = figure_path(page, grid)
    save(figure_of(found, order), stem)
    table = table_of(found, order)
    table.save(stem, bold=BOLD)
    table.show(bold=BOLD)


def figure_of(found, order):
    """Means against strength: a row for each evaluation, a column a network, which stand side by side if it is one.

    Bands hold the middle half of all draws of noise, of both seeds; for attacks they go from seed to seed.
    """
    everything = [point for points in found.values() for point in points]
    figure, of_study = panels(everything, len(found), height_mm=12 + 50 * len(found))
    for study, rows in of_study.items():
        for axes, (key, points) in zip(rows, found.items()):
            frame = Table([p for p in points if p["study"] == study], ["method", key], "accuracy", LABELS).samples()
            names = LABELS["accuracy"], LABELS["method"], UNDER[key][1] + starts_of(key, points)
            lines(frame, key, *names, hue_order=order, axes=axes, level=UNDER[key][2])
            axes.locator_params(axis="x", nbins=4)
            axes.xaxis.set_major_formatter("{x:g}")
    return legend(figure)


def table_of(found, order):
    """Mean, standard deviation and minimum over draws and seeds, beside the published means."""
    rows = [row for key, points in found.items() for row in _summed_up(key, points)]
    axes = ["network", "under", "method", "strength"]
    orders = {"method": order, "under": [UNDER[key][0] + starts_of(key, points) for key, points in found.items()]}
    return Table(rows, axes, [*(f"accuracy_{name}" for name in SUMMARY), "published"], LABELS, orders)


def starts_of(key, points):
    """Of how many random starts the worst is shown, where the key is one of an attack.

    >>> starts_of("attack_size", [{"n_starts": 5}]), starts_of("level", [{"n_starts": 5}])
    (', worst of 5 starts', '')
    """
    if EVALUATIONS[key][0] is not worst_case_accuracy:
        return ""
    counts = sorted({get(point, "n_starts") for point in points})
    return "" if counts == [1] else f", worst of {' or '.join(map(str, counts))} starts"


def _summed_up(key, points):
    under = UNDER[key][0] + starts_of(key, points)
    statistics = {**SUMMARY, "n": lambda values: flat(values).size}
    points = [{**point, "network": title_beside_published(point)} for point in points]
    for row in reduce_keys(points, "accuracy", statistics, group_by=["study", "network", "method", key]):
        spread = row["accuracy_std"] if row["accuracy_n"] > 1 else None  # one number has none
        known = published(row["study"], row["method"], row[key]) if key == "level" else None
        yield {**row, "accuracy_std": spread, "under": under, "strength": row[key], "published": known}
