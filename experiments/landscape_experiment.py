"""How steep is the loss around a trained network, and does training for robustness make it flat?

The cross entropy of the test images is taken along straight lines in random directions, theta + alpha v with
v ~ N(0, (0.2 |theta|)^2) and alpha from -2 to 2. Flatness is the mean of |d cross entropy / d alpha| along a line, 0
for a flat loss. As many lines from each trained network as a size says ("n_directions": ten, four of the CNN of size
real), two seeds; bands and bars hold nine lines of ten.

Beside it the published flatness, of Fashion-MNIST, MIT-BIH heartbeats and Speech Commands. The published CNN
standardises its features by each batch, in tests too, which hides much of a change of parameters; here this is off
(batch_standardize=False), so the two columns of the CNN are not one measurement made twice.

Measured (size small, the CNN on digits): 0.140 after standard training, 0.054 with forward noise, 0.030 after
adversarial training, 0.025 with both: the published order but for the middle two. So it is of the CNN on Fashion-MNIST
(size real): 0.079, 0.027, 0.019, 0.015.

    python train.py -exp=landscape_experiment [-size=real] [--where study=cnn]
    python make_figures.py -exp=landscape_experiment [-size=real] [--where study=cnn]

The figure and its table go to figures/landscape_experiment.{png,pdf,csv,md,tex}. Sizes: see experiments/_robust.py.
"""

from experiments._robust import METHODS, figure_path, networks, title, trained
from experiments._studies import panels
from gridrun import reduce_keys, run
from gridrun.figures import PALETTE, legend, lines, save, styled
from gridrun.stats import flat, mean, percentile_interval
from gridrun.table import Table
from gridrun.tasks.landscape import landscape

ORDER = list(METHODS)
DRAWN = ["Standard", "Forward noise", "Adversarial", "Both"]  # as curves; the flatness of all methods is shown
PUBLISHED = {  # of the methods that are drawn
    "cnn": [0.3375, 0.0332, 0.0480, 0.0190],
    "ecg": [0.1605, 0.0180, 0.0879, 0.0187],
    "speech": [0.2702, 0.1009, 0.0633, 0.0540],
}
LABELS = {
    "network": "Network",
    "method": "Method",
    "flatness": "Flatness",
    "published": "Published (CNN: batch_standardize=True)",
}


def train_grid():
    return networks()


def measure():
    """Every network with its curves ("alpha", "cross_entropy") and their "flatness"."""
    settings = {"n_directions": "{n_directions}", "n_points": "{n_points}", "n_images": "{n_images}"}
    points = run(trained(train_grid()), landscape, store_key="*")("{*}", **settings)
    return [{**point, "network": title(point)} for point in points]


def flatness(points):
    """One point a method of each study: the flatness of all its lines, and the published one."""
    rows = reduce_keys(points, "flatness", flat, group_by=["study", "network", "method"])
    return [{**row, "published": dict(zip(DRAWN, PUBLISHED[row["study"]])).get(row["method"])} for row in rows]


def draw_curves(points, axes):
    import pandas

    rows = [
        (point["method"], alpha, value)
        for point in points
        for line in point["cross_entropy"]
        for alpha, value in zip(point["alpha"], line)
    ]
    frame = pandas.DataFrame(rows, columns=["method", "alpha", "cross entropy"])
    frame = frame[frame["method"].isin(DRAWN)]
    lines(frame, "alpha", "cross entropy", "method", "α", "Cross entropy (nats)", ORDER, axes)
    for line in axes.lines:
        line.set_marker("")


@styled
def draw_flatness(rows, axes, names):
    """Means in the range of nine lines of ten; stars are published."""
    for row in rows:
        place, colour = ORDER.index(row["method"]), PALETTE[ORDER.index(row["method"])]
        axes.plot(percentile_interval(row["flatness"], 0.9), [place, place], color=colour)
        axes.plot(mean(row["flatness"]), place, "o", color=colour)
        axes.plot(row["published"] or float("nan"), place, "*", color=colour, markersize=7, fillstyle="none")
    axes.set_yticks(range(len(ORDER)), names)
    axes.set_ylim(len(ORDER) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("Flatness (mean |dCE/dα|)")


def visualize():
    points = measure()
    figure, of_study = panels(points, n_rows=2, height_mm=112)
    for study, (above, below) in of_study.items():
        here = [point for point in points if point["study"] == study]
        draw_curves(here, above)
        draw_flatness(flatness(here), below, ORDER if study == next(iter(of_study)) else [])
    figure.axes[0].plot(
        [], [], "k*", markersize=7, fillstyle="none", label="Published (of full size; CNN: batch_standardize=True)"
    )
    stem = figure_path(__file__, train_grid())
    save(legend(figure), stem)

    table = Table(flatness(points), ["network", "method"], ["flatness", "published"], LABELS, {"method": ORDER})
    table.save(stem, bold="min", decimals=3)
    table.show(bold="min", decimals=3)
