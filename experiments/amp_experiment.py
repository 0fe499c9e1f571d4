"""What is adversarial model perturbation (AMP) worth under mismatch and attack, in one step or several, in which ball?

AMP takes the gradient of the training loss at attacked parameters: here in the ball of the parameter attack, relative
to each parameter, in one step and in several; in the l2 ball of Zheng, Zhang and Mao (CVPR 2021); and as SAM and ASAM,
one step up the slope. Beside standard training and the robustness loss.

What is published as AMP is standard training: its code sets beta_robustness 9999, treat_as_constant and madry, and the
training loss at a theta* that is held constant has no gradient (docs/training.md). It is not in the table; of the CNN
it is 60.60 % at mismatch 0.5 and 36.79 at 0.7, beside 61.14 and 36.93 of what is published as standard.

Measured for the CNN at size small: at mismatch 0.7 AMP has 80.7 % in one step, 76.6 in three, 85.2 in the l2 ball,
ASAM 83.7, SAM 68.5; standard training 58.5 and the robustness loss 88.3. Under an attack of size 0.1, the worst of five
starts, the relative ball is best of them (62 and 64 %), at the price of 4 to 5 points of clean accuracy; the
robustness loss leaves 80 % and costs one.

    python train.py -exp=amp_experiment [-size=small] [--where study=cnn]
    python make_figures.py -exp=amp_experiment [-size=small] [--where study=cnn]

The figure and its table, with the published means, go to figures/amp_experiment.{png,pdf,csv,md,tex}.
"""

from experiments._panels import draw, evaluate
from experiments._robust import LEVELS, METHODS, networks, trained

ATTACK_SIZES = [0.0, 0.02, 0.05, 0.1, 0.2]
AMP = {"amp": True, "boundary_loss": "madry"}
WAYS = {
    "Standard": METHODS["Standard"],
    "AMP, one step": {**AMP, "n_attack_steps": 1},
    "AMP": AMP,
    "AMP, l2 ball": {"amp": True, "amp_eps": 0.5},
    "SAM": {"sam": True, "sam_rho": 0.05},
    "ASAM": {"sam": True, "sam_adaptive": True, "sam_rho": 3.0},
    "Adversarial": METHODS["Adversarial"],
}


def train_grid():
    return networks(WAYS)


def visualize():
    found = evaluate(trained(train_grid()), level=LEVELS, attack_size=ATTACK_SIZES)
    draw(__file__, train_grid(), found, list(WAYS))
