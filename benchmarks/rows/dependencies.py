"""A training point: one argument, a model of 36 settings, all of which its result depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import tools
from ..clock import lap
from ..row import Measured, Row, under
from .points import limited, refuse_when_cached

N = 5_000
PLAIN = {
    "architecture": "cnn",
    "dataset": "fashion_mnist",
    "optimizer": "adam",
    "learning_rates": "1e-3 then 1e-4",
    "n_epochs": 80,
    "batch_size": 100,
    "beta_robustness": 0.25,
    "attack_size_mismatch": 0.1,
    "dropout_prob": 0.3,
    "noisy_forward_std": 0.0,
    "awp_gamma": 0.1,
    "boundary_loss": "kl",
}
SETTINGS = {**PLAIN, **{f"setting_{i}": [i, i / 7, f"choice {i}"][i % 3] for i in range(36 - len(PLAIN) - 1)}}
KEYS = [*SETTINGS, "seed"]
assert len(KEYS) == 36


def accuracy(model: dict[str, Any]) -> float:
    """Stands for a training."""
    refuse_when_cached()
    return float(model["seed"] / 2)


def keep(tool: str, folder: Path) -> Any:
    """models -> results, in the way that each tool offers for a dict."""
    if tool == "joblib.hash":
        import joblib

        return lambda models: [joblib.hash(model) for model in models]
    module = tools.load(tool)
    if tool == "gridrun":
        return module.keep(accuracy, folder, ["{*}"], dependencies=[f"model:{key}" for key in KEYS])
    uid = {"uid": ",".join(f"{{model[{key}]}}" for key in KEYS)} if tool == "exca" else {}
    many = module.keep(accuracy, folder, **uid)
    return lambda models: many([{"model": model} for model in models])


def models(n: int) -> list[dict[str, Any]]:
    return [{**SETTINGS, "seed": seed} for seed in range(n)]


def prepare(tool: str, folder: Path) -> None:
    keep(tool, folder)(models(limited(tool, N)[0]))


def measure(tool: str, folder: Path) -> Measured:
    n, note = limited(tool, N)
    many, listed = keep(tool, folder), models(n)
    many(listed[:1])
    took, values = lap(lambda: many(listed[1:]))
    assert tool == "joblib.hash" or values == [seed / 2 for seed in range(1, n)]
    return took.measured(1e6 / (n - 1), note=note)


ROWS = [
    Row(
        "dependencies",
        "a training point with 36 dependencies, cached",
        "µs",
        "under 40 µs",
        under(40),
        measure,
        prepare,
        reference="joblib.hash",
    )
]
