"""How far does each step of the parameter attack carry the outputs, against steps as long in random directions?

Both ways go from the trained parameters by a tenth of each, in ten steps. The attack follows the sign of the gradient
of the KL divergence from the outputs before it; a random way keeps to signs drawn once, so it gets as far in every
parameter as any attack can. Two seeds, and ten random ways from each network (four of the CNN of size real); bands hold
nine ways of ten.

Measured (size small, the CNN on digits): the attack ends a thousand times as far as chance (10.8 against 0.009 nats
after standard training), which is why a network that withstands mismatch may still fail under it. After adversarial
training it ends at 0.5 nats; forward noise alone, which more than halves the random ways, leaves the attack 6.1.

    python train.py -exp=methods_experiment [-size=real] [--where study=cnn]
    python make_figures.py -exp=methods_experiment [-size=real] [--where study=cnn]

The figure and its table go to figures/methods_experiment.{png,pdf,csv,md,tex}. Sizes: see experiments/_robust.py.
"""

from experiments._robust import METHODS, figure_path, networks, title, trained
from experiments._studies import panels
from gridrun import run
from gridrun.figures import legend, lines, save
from gridrun.table import Computed, Table
from gridrun.tasks.attack_path import attack_path

ORDER = list(METHODS)
SHOWN = ["Standard", "Forward noise", "Adversarial", "Both"]
ATTACK_SIZE = 0.1
DASHED = (0, (2, 1))
WAYS = {"adversarial": "-", "random": DASHED}
LABELS = {
    "method": "Method",
    "adversarial": "KL, attack (nats)",
    "random": "KL, random (1/1000 nats)",
    "adversarial_accuracy": "Accuracy, attack (%)",
    "random_accuracy": "Accuracy, random (%)",
}


def train_grid():
    return networks({method: METHODS[method] for method in SHOWN})


def measure():
    """Every network with its ways: the divergence and the accuracy at their start and after each step."""
    settings = {"n_random": "{n_directions}", "n_images": "{n_images}"}
    points = trained(train_grid())
    return run(points, attack_path, store_key="*")("{*}", ATTACK_SIZE, "{evaluation_steps}", **settings)


def ends(point):
    """What the ways of a network have reached with their last step."""
    left = {key: 100 * point[key][..., -1] for key in ("adversarial_accuracy", "random_accuracy")}
    return {**point, **left, "adversarial": point["adversarial"][-1], "random": 1000 * point["random"][:, -1]}


def draw(points, axes):
    """The divergence after each step: solid lines are the attack, dashed ones random ways."""
    import pandas

    for way, dashes in WAYS.items():
        taken = [(point["method"], one) for point in points for one in point[way].reshape(-1, point[way].shape[-1])]
        rows = [(method, step, kl) for method, one in taken for step, kl in enumerate(one) if step]
        frame, n_before = pandas.DataFrame(rows, columns=["method", "step", "kl"]), len(axes.lines)
        lines(frame, "step", "kl", "method", "Step", "KL from the outputs before (nats)", ORDER, axes)
        for line in axes.lines[n_before:]:
            line.set(linestyle=dashes, label=line.get_label() if way == "adversarial" else None)
    axes.plot([], [], color="black", linestyle=DASHED, label="Random directions")
    axes.set_yscale("log")


def visualize():
    points = measure()
    figure, of_study = panels(points)
    for study, (axes,) in of_study.items():
        draw([point for point in points if point["study"] == study], axes)
    stem = figure_path(__file__, train_grid())
    save(legend(figure), stem)

    dependents = ["adversarial", "random", "adversarial_accuracy", "random_accuracy"]
    axes, bold = [Computed("Network", title), "method"], ["min", "min", "max", "max"]
    table = Table([ends(point) for point in points], axes, dependents, LABELS, {"method": SHOWN})
    table.save(stem, bold=bold)
    table.show(bold=bold)
