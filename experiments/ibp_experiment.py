"""What can be proven of a trained network when its parameters are only known to lie in a box?

The box holds every network whose parameters are each within `size` of theirs, relative to it. Interval bounds follow
all of them at once; an image is verified if its label's logit is the largest in every network of the box. What is not
verified is not broken: the bounds are loose, and looser the deeper the network and the longer the sequence, so boxes
here are ten to a thousand times smaller than the attacks of worst_case_experiment. Two seeds; bands reach from one to
the other. There are bounds of networks only that do not standardise by batches (batch_standardize=False).

Measured (size small, the CNN on digits): in a box of 0.003 88 % of the test images are verified after adversarial
training, 80 % with forward noise besides, 1 % after standard training, 7 % with forward noise alone.

    python train.py -exp=ibp_experiment [-size=real] [--where study=cnn]
    python make_figures.py -exp=ibp_experiment [-size=real] [--where study=cnn]

The figure and its table go to figures/ibp_experiment.{png,pdf,csv,md,tex}. Sizes: see experiments/_robust.py.
"""

from experiments._robust import METHODS, figure_path, networks, title, trained
from experiments._studies import panels
from gridrun import run, split, to_frame
from gridrun.figures import legend, lines, save
from gridrun.table import Computed, Table
from gridrun.tasks.interval_bounds import verified_accuracy

ORDER = list(METHODS)
OF_CNN = [0.0, 1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2]
OF_LSNN = [0.0, 1e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3]  # a spike that is merely possible widens all that follows
BOX_SIZES = {"cnn": OF_CNN, "ecg": OF_LSNN, "speech": OF_LSNN}
LABELS = {
    "method": "Method",
    "box_size": "Box size",
    "verified": "Verified (%)",
    "logit_width": "Width of a logit",
}


def train_grid():
    return networks()


def measure():
    """Every network in boxes of every size: how many test images are verified, in percent, and how wide logits are."""
    grid = trained(train_grid())
    for study, sizes in BOX_SIZES.items():
        grid = split(grid, "box_size", sizes, where={"study": study})
    grid = run(grid, verified_accuracy, store_key="*")("{*}", "{box_size}", n_images="{n_images}")
    return run(grid, lambda verified: 100 * verified, store_key="verified")("{verified}")


def visualize():
    points = measure()
    figure, of_study = panels(points)
    frame = to_frame(points, ["study", "method", "box_size", "verified"])
    for study, (axes,) in of_study.items():
        here, words = frame[frame["study"] == study], ("Box size (relative)", "Verified accuracy (%)")
        lines(here, "box_size", "verified", "method", *words, hue_order=ORDER, axes=axes, level=1.0)
        axes.set_xscale("symlog", linthresh=BOX_SIZES[study][1], linscale=0.4)
        axes.set_ylim(0, 101)
    stem = figure_path(__file__, train_grid())
    save(legend(figure), stem)

    axes, order = [Computed("Network", title), "method", "box_size"], {"method": ORDER}
    Table(points, axes, ["verified", "logit_width"], LABELS, order).save(stem, bold=["max", "min"])
    Table(points, axes, "verified", LABELS, order).show(bold="max", wide=True)
