"""How far does adversarial weight perturbation (AWP) have to go, and what do attacked inputs and noise add to it?

AWP takes the gradient at theta + gamma (theta* - theta), where theta* is what a parameter attack on the training loss
reaches (Wu, Xia and Wang 2020; published with gamma 0.1). Here gamma 0.5 too; with the inputs attacked as well, by up
to 0.1 in l_inf; and with forward noise. Beside standard training, forward noise alone, and the robustness loss.

Measured for the CNN at size small: at mismatch 0.7 standard training has 58.5 %, AWP 68.5, with attacked inputs 70.5,
with forward noise 79.3 (noise alone: 75.0), with gamma 0.5 82.0; the robustness loss has 88.3. Of clean accuracy
gamma 0.5 costs one and a half points, the robustness loss one. Under an attack of size 0.1, the worst of five starts,
gamma 0.5 leaves 42 %, the robustness loss 80, the others 10 to 17.

    python train.py -exp=awp_experiment [-size=small] [--where study=cnn]
    python make_figures.py -exp=awp_experiment [-size=small] [--where study=cnn]

The figure and its table, with the published means, go to figures/awp_experiment.{png,pdf,csv,md,tex}.
"""

from experiments._panels import draw, evaluate
from experiments._robust import FORWARD, LEVELS, METHODS, networks, trained

ATTACK_SIZES = [0.0, 0.02, 0.05, 0.1, 0.2]
AWP = METHODS["AWP"]
WAYS = {
    "Standard": METHODS["Standard"],
    "AWP": AWP,
    "AWP, gamma 0.5": {**AWP, "awp_gamma": 0.5},
    "AWP, inputs too": {**AWP, "awp_perturb_input": True, "eps_pga": 0.1},
    "AWP and noise": {**AWP, **FORWARD},
    "Forward noise": METHODS["Forward noise"],
    "Adversarial": METHODS["Adversarial"],
}


def train_grid():
    return networks(WAYS)


def visualize():
    found = evaluate(trained(train_grid()), level=LEVELS, attack_size=ATTACK_SIZES)
    draw(__file__, train_grid(), found, list(WAYS))
