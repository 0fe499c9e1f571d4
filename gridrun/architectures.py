"""Default points of each architecture: `cnn.make()` is a point, every key of it a setting of the training.

>>> point = cnn.make(seed=3)
>>> point["seed"], point["hidden"], point["architecture"]
(3, [256, 64], 'cnn')

Names and defaults are those of Buechel, Faber and Muir's code (ICLR 2022), values are real lists and numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .data import KNOWN
from .data.copies import copy_of
from .errors import UsageError, nearest
from .grid import Point
from .tasks.train import trainer

COMMON: dict[str, Any] = {
    "seed": 0,
    "batch_size": 100,
    "optimizer": "adam",
    "n_hidden": 256,
    "reg": 0.001,
    "dropout_prob": 0.0,
    "dropout_kind": "shared",
    "noisy_forward_std": 0.0,
    "beta_robustness": 0.125,
    "warmup": 0,
    "boundary_loss": "kl",
    "n_attack_steps": 10,
    "attack_size_mismatch": 0.2,
    "attack_size_constant": 0.0,
    "initial_std_mismatch": 0.001,
    "initial_std_constant": 0.0,
    "p_norm": "inf",
    "clamp": False,
    "treat_as_constant": False,
    "awp": False,
    "awp_gamma": 0.1,
    "awp_perturb_input": False,
    "eps_pga": 0.0,
    "nb_iter": 3,
    "amp": False,
    "amp_eps": 0.0,
    "amp_lr": 1.0,
    "amp_steps": 1,
    "sam": False,
    "sam_rho": 0.05,
    "sam_adaptive": False,
    "abcd_L": 2,
    "abcd_etaA": 0.001,
    "esgd_L": 10,
    "esgd_g0": 1e-2,
    "esgd_g1": 1e-3,
    "esgd_langevin_lr": 0.1,
    "esgd_langevin_beta1": 0.75,
    "esgd_eps": 1e-4,
    "esgd_momentum": 0.9,
    "validation_fraction": 0.0,
    "training_samples": None,
    "augmentation": 0,
    "checkpoint": "final",
    "torch_threads": 1,
    "device": "cpu",
    "data_dir": None,
}

IMAGES, SEQUENCES = (
    ", ".join(name for name, data in KNOWN.items() if data.is_images is wanted) for wanted in (True, False)
)
HELP = {
    "seed": "Seed of the initial weights, of the order of the images and of all noise in training.",
    "batch_size": "Images in a training step.",
    "optimizer": "adam, sgd (no momentum), abcd, or esgd (Entropy-SGD; its learning rates are near 0.1).",
    "n_hidden": "Neurons of the recurrent layer of the LSNNs (a CNN's layers are channels and hidden).",
    "reg": "Weight of the firing-rate term of the LSNNs.",
    "dropout_prob": "Probability that an input of a dense layer, or a neuron of an LSNN, is dropped in training.",
    "dropout_kind": "shared: one mask a batch, not rescaled (the original); standard: as torch.nn.Dropout (no LSNN).",
    "noisy_forward_std": "Forward noise: relative std of the parameters at which the loss is taken.",
    "beta_robustness": "Weight of the robustness loss under the parameter attack; 0 is standard training.",
    "warmup": "Epochs before the robustness loss is switched on.",
    "boundary_loss": "Robustness loss: kl, reverse_kl, js, l2 or madry.",
    "n_attack_steps": "Steps of the attack; a training step costs about this plus 2 standard steps.",
    "attack_size_mismatch": "Size of the attack, relative to each parameter (0.1 in the published grids).",
    "attack_size_constant": "Size of the attack, absolute.",
    "initial_std_mismatch": "Relative std of the attack's random start.",
    "initial_std_constant": "Absolute std of the attack's random start.",
    "p_norm": 'Norm of an attack step: "inf" (signs) or "2".',
    "clamp": "Keep the attacked parameters in the ball of the attack's size after each step.",
    "treat_as_constant": "Take the attacked parameters as constant in the gradient (a worse method, to compare).",
    "awp": "Adversarial weight perturbation instead of the robustness loss (boundary_loss madry, beta_robustness 0).",
    "awp_gamma": "Part of the way to the attacked parameters at which AWP takes the gradient.",
    "awp_perturb_input": "Attack AWP's inputs too.",
    "eps_pga": "Size of the input attack, in units of the inputs (l_inf).",
    "nb_iter": "Steps of the input attack.",
    "amp": "Adversarial model perturbation: the gradient at attacked parameters (beta_robustness 0).",
    "amp_eps": "Radius of AMP's l2 ball around all parameters; 0: the relative attack (boundary_loss madry).",
    "amp_lr": "Rate of AMP's ascent in its l2 ball.",
    "amp_steps": "Steps of AMP's ascent in its l2 ball.",
    "sam": "Sharpness-aware minimisation: the gradient one step up the slope (beta_robustness 0).",
    "sam_rho": "Length of SAM's step (l2 over all parameters; relative to them if adaptive).",
    "sam_adaptive": "ASAM: steps in proportion to each parameter.",
    "abcd_L": "Rounds of ABCD's ascent and descent a batch.",
    "abcd_etaA": "Rate of ABCD's ascent.",
    "esgd_L": "Steps of Entropy-SGD's walk a batch.",
    "esgd_g0": "Strength of the spring that holds Entropy-SGD's walk.",
    "esgd_g1": "Growth of that spring a batch, relative.",
    "esgd_langevin_lr": "Rate of the walk.",
    "esgd_langevin_beta1": "Decay of the walk's running mean (1 - alpha of the paper).",
    "esgd_eps": "Size of the walk's noise.",
    "esgd_momentum": "Nesterov's momentum, in and outside the walk.",
    "validation_fraction": "Part of the training images set aside for validation, before any augmentation.",
    "training_samples": "So many of what is left for training, the classes in proportion; None is all of them.",
    "augmentation": "Times that each training image comes again, turned by up to 10 degrees and perhaps mirrored.",
    "checkpoint": "Which weights are kept: final, or best (of all epochs, on the validation images).",
    "torch_threads": "Cores of one training; part of the key, since sums in another order change the last bits.",
    "device": "cpu or cuda; part of the key for the same reason.",
    "data_dir": "Folder of data sets (default: $GRIDRUN_DATA, then data); not part of the key.",
    "data_copy": "What there is of the data set, if that is not all of it: found by itself, a part of the key.",
    "dataset": f"Of images ({IMAGES}) or, for LSNNs, of sequences ({SEQUENCES}); the network's input follows it.",
    "n_epochs": "Epochs of each stretch of the training, a list.",
    "learning_rate": "Learning rate of each stretch, a list as long as n_epochs.",
    "channels": "Output channels of each convolution.",
    "kernel_size": "Rows and columns of the kernels.",
    "padding": "Zeros around the images: a number, or one entry a convolution, a number or [before, after].",
    "hidden": "Neurons of each dense layer before the last.",
    "dt": "Time step of the spiking neurons, ms.",
    "tau": "Time constant of their voltage, ms.",
    "tau_adaptation": "Time constant of their threshold's adaptation, ms.",
    "thr": "Threshold at rest.",
    "beta": "By how much the adaptation raises the threshold.",
    "refr": "Refractory time: a neuron that fired is silent for refr - 1 steps (of dt 1).",
    "dampening_factor": "Height of the spikes' surrogate derivative.",
    "n_blocks": "Blocks of two convolutions in each of the three stages: 5 for 32 layers.",
    "width": "Channels of the first stage.",
    "eta_train": "Forward noise by the names of the ResNets' study: its std, relative as eta_mode says.",
    "eta_mode": "ind: relative to each weight, as noisy_forward_std is; range: to half the range of its layer.",
    "clipping_alpha": "Clip each layer's weights to so many standard deviations after every step (2 in the paper).",
    "batch_standardize": "Standardise input and last features by each batch, tests too (the paper; hides attacks).",
}
NOT_IN_KEY = ("data_dir",)


@dataclass(frozen=True)
class Architecture:
    """A kind of network with its default settings.

    `launch_settings` are what its training needs of a cluster, as {"mem_gb": 8, "timeout_min": 240}; they are no
    part of a point's key, and an experiment, a point or the command line may say otherwise.
    """

    name: str
    about: str
    defaults: Mapping[str, Any]
    launch_settings: Mapping[str, Any] = field(default_factory=dict)

    def make(self, **settings: Any) -> Point:
        """The default point with `settings` changed, its "architecture" and its cachable "train".

        Raises UsageError for a key that the architecture does not have, naming the nearest.
        """
        for key in settings:
            if key not in self.defaults:
                raise UsageError(f"{self.name}.make() has no key {key!r}; {nearest(key, self.defaults)}")
        keyed = tuple(key for key in self.defaults if key not in NOT_IN_KEY)
        point = {**copy.deepcopy(dict(self.defaults)), **settings}
        made = {**point, "architecture": self.name, "train": trainer(self.name, keyed)}
        return {**made, "copy_of": copy_of} if "data_copy" in point else made

    def settings(self) -> list[tuple[str, Any, str]]:
        """(key, default, what it means) of every setting.

        >>> next(row for row in cnn.settings() if row[0] == "batch_size")
        ('batch_size', 100, 'Images in a training step.')
        """
        return [(key, default, HELP[key]) for key, default in self.defaults.items()]


digits_cnn = Architecture(
    "digits_cnn",
    "A small CNN: convolutions 16 and 32 of 3x3, dense 128-64-10; trains in seconds on 8x8 digits.",
    {
        "dataset": "digits",
        "channels": [16, 32],
        "kernel_size": 3,
        "padding": 1,
        "hidden": [128, 64],
        "n_epochs": [30, 10],
        "learning_rate": [1e-3, 1e-4],
        "batch_standardize": False,
        **COMMON,
    },
)


@dataclass(frozen=True)
class _PapersCNN(Architecture):
    """The CNN of the paper, which has a form for CIFAR-10 too."""

    def make_cifar(self, **settings: Any) -> Point:
        """The default point on CIFAR-10, as it is: the same layers, for colour images of 32x32."""
        return self.make(**{"dataset": "cifar10", "augmentation": 0, **settings})


cnn = _PapersCNN(
    "cnn",
    "The CNN of the ICLR 2022 paper: convolutions 64 and 64 of 4x4, dense 1600-256-64-10, 493,642 parameters.",
    {
        "dataset": "fashion_mnist",
        "channels": [64, 64],
        "kernel_size": 4,
        "padding": [[2, 1], 0],
        "hidden": [256, 64],
        "n_epochs": [35, 5],
        "learning_rate": [1e-4, 1e-5],
        "batch_standardize": False,
        **COMMON,
        "validation_fraction": 0.2,
        "augmentation": 2,
        "checkpoint": "best",
    },
)

LSNN: dict[str, Any] = {
    "dt": 1.0,
    "tau": 20.0,
    "tau_adaptation": 98.0,
    "thr": 0.01,
    "beta": 2.0,
    "refr": 2,
    "dampening_factor": 0.3,
    **COMMON,
    "checkpoint": "best",
    "data_copy": "{copy_of({dataset},{data_dir})}",
}

ecg_lsnn = Architecture(
    "ecg_lsnn",
    "The LSNN of the ICLR 2022 paper for heartbeats: 2 leads, 256 spiking neurons, 4 classes; 67,076 parameters.",
    {
        "dataset": "synthetic_ecg",
        "n_epochs": [150, 50],
        "learning_rate": [1e-3, 1e-4],
        **LSNN,
        "validation_fraction": 1 / 9,  # of the 90 % that are not for the test: 80/10/10
    },
)

speech_lsnn = Architecture(
    "speech_lsnn",
    "The LSNN of the ICLR 2022 paper for words: 98 frames of 40 MFCC, 256 spiking neurons, 8 classes.",
    {
        "dataset": "tones",
        "n_epochs": [80, 20],
        "learning_rate": [1e-3, 1e-4],
        **LSNN,
        "validation_fraction": 0.1,
    },
)

resnet32 = Architecture(
    "resnet32",
    "ResNet32 for CIFAR-10 under noise of its weights, batch normalisation spared; 464,154 parameters.",
    {
        "dataset": "cifar10",
        "n_blocks": 5,
        "width": 16,
        "n_epochs": [60, 60, 40, 40],
        "learning_rate": [1e-3, 2e-4, 4e-5, 8e-6],
        "eta_train": 0.0,
        "eta_mode": "ind",
        "clipping_alpha": 0.0,
        **COMMON,
        "validation_fraction": 0.1,
        "checkpoint": "best",
    },
)

ARCHITECTURES = {architecture.name: architecture for architecture in (digits_cnn, cnn, ecg_lsnn, speech_lsnn, resnet32)}
