"""How does the error of a fitted curve grow with the noise in its data?

    python train.py -exp=NAME            fits what is missing
    python make_figures.py -exp=NAME     draws figures/NAME.png

This page works as it is; put your own question in its place. For networks, start from the points of
gridrun.architectures, e.g. `grid = [cnn.make()]`: they bring their own "train". What points need of a cluster
(-mode=slurm) can be said here: `launch_settings = {"mem_gb": 8, "timeout_min": 120}`.
"""

from pathlib import Path

from gridrun import cachable, run, split, to_frame

FIGURES = Path(__file__).parents[1] / "figures"


@cachable(dependencies=["point:degree", "point:noise", "point:seed"])
def fit(point):
    """The mean squared error of a polynomial fitted to 50 noisy values of a sine, against the sine itself."""
    import numpy as np

    generator = np.random.default_rng(point["seed"])
    x = np.linspace(-1, 1, 50)
    truth = np.sin(np.pi * x)
    values = truth + point["noise"] * generator.normal(size=x.size)
    fitted = np.polynomial.Polynomial.fit(x, values, point["degree"])(x)
    return {"error": float(np.mean((fitted - truth) ** 2))}


def train_grid():
    """Every point: a dict of settings, and under "train" the function that computes it."""
    grid = [{"train": fit, "degree": 3, "noise": 0.1, "seed": 0}]
    grid = split(grid, "degree", [3, 5, 9])
    grid = split(grid, "noise", [0.0, 0.1, 0.2, 0.4])
    return split(grid, "seed", range(10))


def visualize():
    """The figure, from stored results only."""
    grid = run(train_grid(), "train", run_mode="load", store_key="*")("{*}")
    frame = to_frame(grid, ["degree", "noise", "seed", "error"])

    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axes = plt.subplots(figsize=(4, 3), layout="constrained")
    sns.lineplot(frame, x="noise", y="error", hue="degree", palette="viridis", errorbar="sd", ax=axes)
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / "NAME.png", dpi=200)
    plt.close(figure)
