"""Does the format in which weights are stored decide how much a bit flip harms?

All weights are stored as fp32, fp16, bf16 or int8 (a scale for each output channel); the golden run is that of the
network so stored, and faults are drawn in every cell of layer and bit of the format's own word.

Measured: all four classify 98.5 % of the digits right. A flip in fp16 or bf16 is critical twice as often (2.9 %, 3.0 %)
as in fp32 (1.5 %): the top of the exponent, where nearly all the harm is, is one bit of 16 rather than of 32. int8 has
no exponent; no bit of it was critical in more than 0.02 % of the outcomes (1.2 % in all at most, with 99 %).

    python train.py -exp=fault_formats [-size=demo]             trains a small CNN on digits, runs some 13,000 faults
    python make_figures.py -exp=fault_formats [-size=demo]      draws what they did

-network=ResNet20 takes published weights and CIFAR-10 from $GRIDRUN_DATA (`-images=100` makes that bearable).
The figure and its tables go to figures/fault_formats{,_bits}.{png,pdf,csv,md,tex}.
"""

from pathlib import Path

from gridrun import configure, run, split
from gridrun.architectures import digits_cnn
from gridrun.figures import save
from gridrun.table import Table
from gridrun.tasks.fault_grid import campaigns, joined_by, parts

SIZES = {"full": {"n_faults": 48}, "demo": {"n_faults": 12}}
BITS = {
    "fp32": "Bit (31 sign, 30 to 23 exponent)",
    "fp16": "Bit (15 sign, 14 to 10 exponent)",
    "bf16": "Bit (15 sign, 14 to 7 exponent)",
    "int8": "Bit (7 sign, two's complement)",
}
LABELS = {
    "fmt": "Format",
    "bits": "Bit",
    "accuracy": "Clean accuracy (%)",
    "rate": "Critical rate (%)",
    "low": "Lower limit, 99 % (%)",
    "high": "Upper limit, 99 % (%)",
    "n_faults": "Faults",
}
FIGURE = Path(__file__).parents[1] / "figures" / Path(__file__).stem


def setting(size):
    return SIZES[size].__getitem__


def train_grid():
    grid = campaigns(digits_cnn.make(beta_robustness=0.0))
    grid = configure(grid, {"size": "full", "setting": setting, "n_faults": "{setting({size})(n_faults)}"})
    return split(split(grid, "fmt", list(BITS)), "part", parts(2))


def measure():
    """Critical rates in percent, by bit, and of the whole network with its accuracy: frames of all formats."""
    import pandas

    from gridrun.faults.drawing import percent

    found = joined_by(run(train_grid(), "train", run_mode="load", store_key="*")("{*}"), "fmt")
    by_bit = [percent(each.rates("bits"), "bits", fmt=fmt) for fmt, each in found.items()]
    of_all = [percent(each.rates("all"), "bits", fmt=fmt, accuracy=100 * each.accuracy) for fmt, each in found.items()]
    return pandas.concat(by_bit), pandas.concat(of_all)


def visualize():
    from gridrun.faults import cells, drawing

    by_bit, of_all = measure()
    figure = drawing.grid_of_panels([1, 1], [1, 1], height_mm=100)
    for axes, row in zip(figure.axes, of_all.to_dict("records")):
        fmt = row["fmt"]
        drawing.intervals(by_bit[by_bit.fmt == fmt], "bits", None, list(cells.bit_groups(fmt)), BITS[fmt], axes)
        critical = f"{row['rate']:.2f} % ({row['low']:.2f} to {row['high']:.2f} %) critical"
        axes.set_title(f"{fmt}: {row['accuracy']:.1f} % accurate, {critical}", loc="right", fontsize=7)
    save(figure, FIGURE)

    numbers = ["rate", "low", "high", "n_faults"]
    order = {"fmt": list(BITS), "bits": list(dict.fromkeys(by_bit["bits"]))}
    Table(by_bit.to_dict("records"), list(order), numbers, LABELS, order).save(f"{FIGURE}_bits")
    table = Table(of_all.to_dict("records"), "fmt", ["accuracy", *numbers], LABELS, {"fmt": list(BITS)})
    table.save(FIGURE)
    table.show()
