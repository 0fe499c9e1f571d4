"""Does it matter that the attacked parameters theta* depend on theta, and that the gradient knows it?

theta* = theta + |theta| (what the attack found), so the robustness loss L(theta, theta*) depends on theta twice.
`treat_as_constant` leaves the second way out of the gradient, which saves a pass back and is another update.

Measured for the CNN at size small, it matters: held constant, theta* gives 83.7 % at mismatch 0.5 and leaves 14 % under
an attack of size 0.1 (the worst of five starts), not far from standard training (79.8 and 10 %); with the whole
gradient it is 94.7 and 80 %.

    python train.py -exp=treat_as_constant_experiment [-size=small] [--where study=cnn]
    python make_figures.py -exp=treat_as_constant_experiment [-size=small] [--where study=cnn]

`-boundary_loss=reverse_kl` (or js, l2) on both asks it of another loss. The figure and its table go to
figures/treat_as_constant_experiment.{png,pdf,csv,md,tex}.
"""

from experiments._panels import draw, evaluate
from experiments._robust import LEVELS, METHODS, networks, trained

ATTACK_SIZES = [0.0, 0.02, 0.05, 0.1, 0.2]
WAYS = {
    "Standard": METHODS["Standard"],
    "Adversarial": METHODS["Adversarial"],
    "Adversarial, held constant": {**METHODS["Adversarial"], "treat_as_constant": True},
}


def train_grid():
    return networks(WAYS)


def visualize():
    found = evaluate(trained(train_grid()), level=LEVELS, attack_size=ATTACK_SIZES)
    draw(__file__, train_grid(), found, list(WAYS))
