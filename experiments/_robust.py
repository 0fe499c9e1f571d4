"""The networks of the robust-training study (Buechel, Faber, Muir, ICLR 2022), which the pages *_experiment.py share.

Three architectures ("study": cnn, ecg, speech), each trained by the methods below with two seeds, in one of four sizes:

    tiny     seconds, to see that everything runs; its numbers mean nothing
    small    digits and synthetic sequences, offline: minutes on two cores
    real     Fashion-MNIST (12,000 images), MIT-BIH heartbeats and spoken digits: two hours on two cores
    paper    the full size, for a cluster: all of Fashion-MNIST, MIT-BIH and Speech Commands

Points have what a size says by way of their key "size", so `-size=real` on the command line is all that changes;
`--where study=ecg` leaves the other studies out. What is trained for one page is found by the others. Figures and
tables are named after the size, but for small: figures/NAME_real.png.
"""

from pathlib import Path

from experiments._published import DATA as PUBLISHED_DATA
from gridrun import UsageError, get, run, split
from gridrun.architectures import cnn, ecg_lsnn, speech_lsnn

STUDIES = {"cnn": cnn, "ecg": ecg_lsnn, "speech": speech_lsnn}
TITLES = {"cnn": "CNN", "ecg": "ECG LSNN", "speech": "Speech LSNN"}
DATA = {
    "digits": "digits",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "synthetic_ecg": "synthetic heartbeats",
    "ecg": "MIT-BIH heartbeats",
    "tones": "synthetic tones",
    "spoken_digits": "spoken digits",
    "speech_commands": "Speech Commands",
}
SEEDS = [0, 1]
LEVELS = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]

DIGITS = {
    "dataset": "digits",
    "kernel_size": 3,
    "padding": 1,
    "validation_fraction": 0.0,
    "training_samples": None,
    "augmentation": 0,
    "checkpoint": "final",
}
FASHION = {
    "dataset": "fashion_mnist",
    "kernel_size": 4,
    "padding": [[2, 1], 0],
    "channels": [64, 64],
    "hidden": [256, 64],
    "validation_fraction": 0.2,
    "checkpoint": "best",
}
OF_STUDY = {  # in all sizes
    "cnn": {"beta_with_noise": 0.1, "esgd_learning_rate": [0.1, 0.01]},
    "ecg": {"beta_with_noise": 0.1, "esgd_learning_rate": [1.0, 0.1]},
    "speech": {"beta_with_noise": 0.5, "esgd_learning_rate": [1.0, 0.1]},
}
EVALUATION = {"evaluation_steps": 10, "n_starts": 5, "n_directions": 10, "n_points": 50, "launch_settings": {}}
LONG = {"chunk": 1, "timeout_min": 2880, "mem_gb": 8}  # of a cluster, for one training of full size
TINY = {"n_epochs": [1, 0], "esgd_epochs": [1, 0], "learning_rate": [1e-3, 1e-4]}
SIZES = {  # Entropy-SGD makes ten steps of each batch: esgd_epochs, which are fewer but for size paper
    "tiny": {
        "cnn": {**DIGITS, **TINY, "channels": [4, 4], "hidden": [16]},
        "ecg": {**TINY, "dataset": "synthetic_ecg", "n_hidden": 4},
        "speech": {**TINY, "dataset": "tones", "n_hidden": 4},
        "all": {
            "n_attack_steps": 1,
            "n_repeats": 8,
            "n_images": 40,
            "evaluation_steps": 2,
            "n_starts": 1,
            "n_directions": 2,
            "n_points": 5,
            "launch_settings": {},
        },
    },
    "small": {
        "cnn": {
            **DIGITS,
            "channels": [16, 32],
            "hidden": [128, 64],
            "n_epochs": [30, 10],
            "esgd_epochs": [6, 2],
            "learning_rate": [1e-3, 1e-4],
        },
        "ecg": {
            "dataset": "synthetic_ecg",
            "n_hidden": 64,
            "n_epochs": [20, 10],
            "esgd_epochs": [4, 2],
            "learning_rate": [1e-2, 1e-3],
        },
        "speech": {
            "dataset": "tones",
            "n_hidden": 64,
            "n_epochs": [20, 5],
            "esgd_epochs": [4, 1],
            "learning_rate": [5e-3, 5e-4],
        },
        "all": {"n_attack_steps": 3, "n_repeats": 50, "n_images": None, **EVALUATION},
    },
    "real": {
        "cnn": {
            **FASHION,
            "training_samples": 12_000,
            "augmentation": 0,
            "n_images": 1_000,
            "n_starts": 1,
            "n_directions": 4,
            "n_points": 25,
            "n_epochs": [6, 2],
            "esgd_epochs": [1, 1],
            "learning_rate": [1e-3, 1e-4],
        },
        "ecg": {
            "dataset": "ecg",
            "n_hidden": 100,
            "n_epochs": [30, 10],
            "esgd_epochs": [5, 1],
            "learning_rate": [5e-3, 5e-4],
        },
        "speech": {
            "dataset": "spoken_digits",
            "n_hidden": 100,
            "n_epochs": [20, 5],
            "esgd_epochs": [4, 1],
            "learning_rate": [5e-3, 5e-4],
        },
        "all": {"n_attack_steps": 3, "n_repeats": 50, "n_images": None, **EVALUATION},
    },
    "paper": {
        "cnn": {
            **FASHION,
            "training_samples": None,
            "augmentation": 2,
            "n_epochs": [35, 5],
            "esgd_epochs": [35, 5],
            "learning_rate": [1e-4, 1e-5],
        },
        "ecg": {
            "dataset": "ecg",
            "n_hidden": 256,
            "n_epochs": [150, 50],
            "esgd_epochs": [150, 50],
            "learning_rate": [1e-3, 1e-4],
        },
        "speech": {
            "dataset": "speech_commands",
            "n_hidden": 256,
            "n_epochs": [80, 20],
            "esgd_epochs": [80, 20],
            "learning_rate": [1e-3, 1e-4],
        },
        "all": {
            "n_attack_steps": 10,
            "n_repeats": 100,
            "n_images": None,
            **EVALUATION,
            "launch_settings": LONG,
        },
    },
}

FORWARD = {"noisy_forward_std": 0.3}
METHODS = {  # the keys in which a method differs from standard training
    "Standard": {},
    "Dropout": {"dropout_prob": 0.3},
    "Entropy-SGD": {
        "optimizer": "esgd",
        "n_epochs": "{of_size(esgd_epochs)}",
        "learning_rate": "{of_size(esgd_learning_rate)}",
    },
    "ABCD": {"optimizer": "abcd"},
    "AWP": {"awp": True, "boundary_loss": "madry"},
    "Forward noise": FORWARD,
    "Adversarial": {"beta_robustness": 0.25},
    "Both": {**FORWARD, "beta_robustness": "{of_size(beta_with_noise)}"},
}


def networks(methods=METHODS, studies=tuple(STUDIES), seeds=SEEDS):
    """The points to train: every method ("method", a name of `methods`) in every study, with every seed."""
    points = [{**base(study), **keys, "method": name} for study in studies for name, keys in methods.items()]
    return split(points, "seed", seeds)


def base(study):
    """Standard training of one study, as its key "size" says."""
    architecture = STUDIES[study]
    keys = {**SIZES["small"]["all"], **SIZES["small"][study]}
    by_size = {key: f"{{of_size({key})}}" for key in keys}
    own = {key: text for key, text in by_size.items() if key in architecture.defaults}
    point = architecture.make(beta_robustness=0.0, attack_size_mismatch=0.1, **own)
    of_size = "{setting({size},{study})}"
    return {
        **point,
        **by_size,
        "study": study,
        "size": "small",
        "setting": setting,
        "of_size": of_size,
    }


def figure_path(page, grid):
    """Where the figure and the table of a page go: figures/NAME for size small, figures/NAME_real for real ...

    Networks that standardise by batches have files of their own.
    """
    (size,) = {get(point, "size") for point in grid}
    name = Path(page).stem + ("" if size == "small" else f"_{size}")
    standardizing = any(get(point, "batch_standardize", False) for point in grid)
    return Path(page).parents[1] / "figures" / (f"{name}_batch_standardize" if standardizing else name)


def trained(grid):
    """The points with their trained networks; an error says which are missing."""
    return run(grid, "train", run_mode="load", store_key="*")("{*}")


def title(point):
    """The network of a point and its data, for the head of a panel.

    >>> title({"study": "cnn", "dataset": "digits", "batch_standardize": False})
    'CNN, digits, batch_standardize=False'
    >>> title({"study": "ecg", "dataset": "ecg", "data_copy": "records 100 208"})
    'ECG LSNN, MIT-BIH heartbeats (records 100 208)'
    """
    name = f"{TITLES[point['study']]}, {DATA[get(point, 'dataset')]}"
    if "batch_standardize" in point:
        return f"{name}, batch_standardize={get(point, 'batch_standardize')}"
    copy = get(point, "data_copy", None)
    return f"{name} ({copy})" if copy else name


def title_beside_published(point):
    """The same, and of what data the numbers are that are published of this network.

    >>> title_beside_published({"study": "speech", "dataset": "tones"})
    'Speech LSNN, synthetic tones (published: Speech Commands)'
    """
    return f"{title(point)} (published: {PUBLISHED_DATA[point['study']]})"


def setting(size, study):
    """What a size says of a study: setting("small", "cnn")("n_epochs")."""
    if size not in SIZES:
        raise UsageError(f"size={size!r}; there are {', '.join(SIZES)}")
    return {**OF_STUDY[study], **SIZES[size]["all"], **SIZES[size][study]}.__getitem__
