"""Do stuck-at faults harm as much as bit flips?

The same places, layer by layer and bit by bit, under three kinds of fault: the bit flips, is stuck at 0, or stuck at 1.
A stuck-at that equals the stored bit changes nothing (masked by proof, without inference); any other is the flip. So
the critical rates of stuck-at-0 and stuck-at-1 add up to that of the flip, and a campaign that draws both
polarities, but flips, as published ones do, finds twice the rate of real stuck-at faults.

Measured: 1.49 % of the outcomes of flips are critical, 1.49 % of stuck-at-1 and less than 0.01 % of stuck-at-0 (0.54 %
at most, with 99 %). The weights are smaller than 2, so their bit 30 is 0, and stuck-at-0 is masked there by proof.

    python train.py -exp=fault_stuck_at_vs_flip [-size=demo]          trains a small CNN on digits, runs 12,000 faults
    python make_figures.py -exp=fault_stuck_at_vs_flip [-size=demo]   draws what they did

-network=ResNet20 takes published weights and CIFAR-10 from $GRIDRUN_DATA (`-images=100` makes that bearable).
The figure and its table go to figures/fault_stuck_at_vs_flip.{png,pdf,csv,md,tex}.
"""

from pathlib import Path

from gridrun import configure, run, split
from gridrun.architectures import digits_cnn
from gridrun.figures import legend, panels, save
from gridrun.table import Table
from gridrun.tasks.fault_grid import campaigns, joined_by, parts

SIZES = {"full": {"n_faults": 48}, "demo": {"n_faults": 12}}
KINDS = {"flip": "Bit flip", "stuck0": "Stuck-at-0", "stuck1": "Stuck-at-1"}
LABELS = {
    "kind": "Fault",
    "bits": "Bit",
    "rate": "Critical rate (%)",
    "low": "Lower limit, 99 % (%)",
    "high": "Upper limit, 99 % (%)",
    "": "All",
    "proven": "Masked by proof (%)",
    "n_faults": "Faults",
}
BIT = "Bit of the weight (31 sign, 30 to 23 exponent, 22 to 0 mantissa)"
FIGURE = Path(__file__).parents[1] / "figures" / Path(__file__).stem


def setting(size):
    return SIZES[size].__getitem__


def train_grid():
    grid = campaigns(digits_cnn.make(beta_robustness=0.0))
    grid = configure(grid, {"size": "full", "setting": setting, "n_faults": "{setting({size})(n_faults)}"})
    return split(split(grid, "kind", list(KINDS)), "part", parts(2))


def measure():
    """Critical rates, and what is masked by proof, in percent: of each kind, by bit and in the whole network."""
    import pandas

    from gridrun.faults.drawing import percent

    found = joined_by(run(train_grid(), "train", run_mode="load", store_key="*")("{*}"), "kind")
    return [
        pandas.concat([percent(each.rates(by, outcome), "bits", kind=KINDS[kind]) for kind, each in found.items()])
        for by, outcome in (("bits", "critical"), ("bits", "no_op"), ("all", "critical"), ("all", "no_op"))
    ]


def visualize():
    import pandas

    from gridrun.faults import cells, drawing

    critical, proven, critical_of_all, proven_of_all = measure()
    figure, bits, kinds = panels([1, 1], height_mm=65), list(cells.bit_groups()), list(KINDS.values())
    style = {"hue": "kind", "order": bits, "hue_order": kinds, "label": BIT}
    drawing.intervals(critical, "bits", axes=figure.axes[0], **style)
    style = {**style, "axes": figure.axes[1], "rate_label": LABELS["proven"], "linear_to": None}
    drawing.intervals(proven[proven.kind != KINDS["flip"]], "bits", **style)  # a flip always changes the word
    save(legend(figure), FIGURE)

    rows = pandas.concat([critical.assign(proven=proven["rate"]), critical_of_all.assign(proven=proven_of_all["rate"])])
    order = {"bits": [*bits, ""], "kind": kinds}
    numbers = ["rate", "low", "high", "proven", "n_faults"]
    table = Table(rows.to_dict("records"), list(order), numbers, LABELS, order)
    table.save(FIGURE)
    table.show()
