"""How often does one flipped bit of a weight change what the network predicts, by layer and by bit?

Faults are drawn in every cell of layer and bit (bits 0 to 22 in two groups), each is run with all test images, and the
intervals (99 %) take a fault, not an image, as the unit: 540 images of one fault are far from 540 trials.

    python train.py -exp=fault_campaign [-size=demo]             trains a small CNN on digits, runs 4,000 faults
    python make_figures.py -exp=fault_campaign [-size=demo]      draws what they did

With CIFAR-10 and published weights in $GRIDRUN_DATA (or -data_dir) the same page runs a published network on the
published draw of faults, and shows what is published of these faults, if fault_lists/ResNet20_FL.csv is there, too:

    python train.py -exp=fault_campaign -network=ResNet20 -faults=published [-rows=0:1000] [-images=1000]

All 16,626 of these faults with the first 100 images gave 1.26 % critical outcomes; 1.27 % are published, with 10,000
images. Masked shares differ, since the published run hid small changes of a weight: see gridrun/faults/tf32.py.

The figure and its tables go to figures/fault_campaign{,_verdicts}.{png,pdf,csv,md,tex}. `-size=demo` takes 12 faults
of a bit in each layer instead of 48.
"""

from pathlib import Path

from gridrun import configure, get, run, split
from gridrun.architectures import digits_cnn
from gridrun.figures import legend, save
from gridrun.table import Table
from gridrun.tasks.fault_grid import campaigns, joined, parts, published_results

SIZES = {"full": {"n_faults": 48}, "demo": {"n_faults": 12}}
LABELS = {
    "campaign": "Campaign",
    "layer": "Layer",
    "bits": "Bit",
    "rate": "Critical rate (%)",
    "low": "Lower limit, 99 % (%)",
    "high": "Upper limit, 99 % (%)",
    "n_faults": "Faults",
    "masked": "Masked (%)",
    "non_critical": "Non-critical (%)",
    "critical": "Critical (%)",
}
BIT = "Bit of the weight (31 sign, 30 to 23 exponent, 22 to 0 mantissa)"
FIGURE = Path(__file__).parents[1] / "figures" / Path(__file__).stem


def setting(size):
    return SIZES[size].__getitem__


def train_grid():
    grid = campaigns(digits_cnn.make(beta_robustness=0.0))
    grid = configure(grid, {"size": "full", "setting": setting, "n_faults": "{setting({size})(n_faults)}"})
    return split(grid, "part", parts(4))


def measure():
    """The campaign that was run here, and the published results of the same faults where they are known."""
    points = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    name, ours = get(points[0], "network"), joined(points)
    theirs = published_results(points[0], ours)
    return {f"{name}, here": ours, **({f"{name}, published, these faults": theirs} if theirs else {})}


def rates(found, by, *names):
    """Critical rates of all campaigns, in percent, by layer, bits or cell."""
    import pandas

    from gridrun.faults.drawing import percent

    return pandas.concat([percent(each.rates(by), *names, campaign=name) for name, each in found.items()])


def verdicts(found):
    """Masked, non-critical and critical in percent: here, and as published of networks on CIFAR-10."""
    from gridrun.faults.published import TOTALS

    ours = {name: each.verdicts() for name, each in found.items()}
    theirs = {f"{name}, published": shares for name, shares in TOTALS.items()}
    return [{"campaign": name, **shares} for name, shares in {**ours, **theirs}.items()]


def visualize():
    import pandas

    from gridrun.faults import cells, drawing

    found = measure()
    ours = next(iter(found))
    layers, bits = list(found[ours].shapes), list(cells.bit_groups())
    figure = drawing.grid_of_panels([2.2, 1], [4.5 * len(layers) + 20, 40], height_mm=5.5 * len(layers) + 80)
    cell, layer, bit, verdict = figure.axes
    by_cell, totals = rates({ours: found[ours]}, "cell", "layer", "bits"), verdicts(found)
    drawing.heat_map(by_cell, "bits", "layer", bits, layers, BIT, LABELS["layer"], cell, f"{LABELS['rate']}, {ours}")
    drawing.intervals(rates(found, "layer", "layer"), "layer", "campaign", layers, "", layer, is_upright=False)
    layer.tick_params(axis="y", labelleft=False)
    drawing.intervals(rates(found, "bits", "bits"), "bits", "campaign", bits, BIT, bit)
    drawing.verdict_bars(pandas.DataFrame(totals), "campaign", verdict)
    save(legend(figure, source=2) if len(found) > 1 else figure, FIGURE)

    order, numbers = {"layer": layers, "bits": bits}, ["rate", "low", "high", "n_faults"]
    Table(by_cell.to_dict("records"), list(order), numbers, LABELS, order).save(FIGURE)
    order = {"campaign": [row["campaign"] for row in totals]}
    shares = Table(totals, "campaign", ["masked", "non_critical", "critical"], LABELS, order)
    shares.save(f"{FIGURE}_verdicts")
    shares.show()
