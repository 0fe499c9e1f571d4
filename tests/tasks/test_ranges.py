"""Settings that cannot be, one line each, before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

from gridrun import UsageError
from gridrun.architectures import ARCHITECTURES, digits_cnn, ecg_lsnn
from gridrun.tasks import ranges
from gridrun.tasks import train as task


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_defaults_can_be(architecture: Any) -> None:
    ranges.check(architecture.make())


def test_every_setting_has_a_rule() -> None:
    keys = {key for architecture in ARCHITECTURES.values() for key in architecture.defaults}
    assert keys - set(ranges.RULES) == {"data_dir", "data_copy"}
    assert set(ranges.RULES) <= keys


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"n_epochs": 40}, "n_epochs=40: want a list, each a whole number, 0 or more"),
        ({"n_epochs": [-1, 2]}, r"n_epochs=\[-1, 2\]: want"),
        ({"n_epochs": [1.5, 0]}, "want a list, each a whole number"),
        ({"learning_rate": ["1e-3", 1e-4]}, "want a list, each a number above 0"),
        ({"batch_size": -5}, "batch_size=-5: want a whole number, 1 or more"),
        ({"training_samples": 100.5}, "training_samples=100.5: want None, or a whole number"),
        ({"beta_robustness": -1}, "beta_robustness=-1: want a number, 0 or more"),
        ({"attack_size_mismatch": float("nan")}, "attack_size_mismatch=nan: want a number"),
        ({"n_attack_steps": 2.5}, "n_attack_steps=2.5: want a whole number"),
        ({"channels": 8}, "channels=8: want a list"),
        ({"checkpoint": "bst"}, 'checkpoint=\'bst\': want "final" or "best"'),
        ({"checkpoint": "best"}, "needs validation samples"),
        ({"clamp": 1}, "clamp=1: want True or False"),
        ({"device": "cuda:99"}, "device='cuda:99': torch finds no GPU here"),
        ({"device": "gpu"}, 'device=\'gpu\': want "cpu", "cuda"'),
        ({"esgd_langevin_beta1": 1.5}, "esgd_langevin_beta1=1.5: want a number, 0 or more and below 1"),
        ({"esgd_eps": "1e-4"}, "esgd_eps='1e-4': want a number, 0 or more"),
        ({"sam_rho": "0.05"}, "sam_rho='0.05': want a number above 0"),
        ({"awp_gamma": 50.0}, "awp_gamma=50.0: want a number above 0, 1 at the most"),
        ({"padding": -1}, "padding=-1: want a whole number, 0 or more, or a list"),
        ({"padding": [[2, 1], 0.5]}, "want a whole number, 0 or more, or a list"),
        ({"p_norm": 2}, 'p_norm=2: want "inf" or "2", as text'),
        ({"boundary_loss": None}, "boundary_loss=None: want a name"),
    ],
)
def test_a_setting_that_cannot_be_is_told_before_the_training(
    changed: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("gridrun.tasks.settings.network", None)  # nothing comes so far
    with pytest.raises(UsageError, match=says):
        task.train(digits_cnn.make(**changed))


@pytest.mark.parametrize(
    ("changed", "says"), [({"thr": float("inf")}, "thr=inf: want a number above 0"), ({"tau": "20"}, "tau='20': want")]
)
def test_constants_of_neurons_that_cannot_be(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ranges.check(ecg_lsnn.make(**changed))


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    ranges.check(digits_cnn.make(device="cuda:1"))
    with pytest.raises(UsageError, match="device='cuda:2': torch finds GPUs up to 'cuda:1' here"):
        ranges.check(digits_cnn.make(device="cuda:2"))


def test_a_validation_fraction_that_sets_nothing_aside() -> None:
    best = digits_cnn.make(checkpoint="best", validation_fraction=1e-4)
    with pytest.raises(UsageError, match='validation_fraction=0.0001 sets no sample aside, and checkpoint="best"'):
        ranges.check_validation(best, None)
    ranges.check_validation(best, ("images", "labels"))
    ranges.check_validation(digits_cnn.make(), None)
