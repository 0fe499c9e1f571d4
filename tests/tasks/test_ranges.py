"""Settings that cannot be, one line each, before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

from gridrun import UsageError
from gridrun.architectures import ARCHITECTURES, digits_cnn
from gridrun.tasks import ranges
from gridrun.tasks import train as task


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_defaults_can_be(architecture: Any) -> None:
    ranges.check(architecture.make())
    assert set(ranges.RULES) <= {key for each in ARCHITECTURES.values() for key in each.defaults}


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
        ({"device": "cuda:99"}, "device='cuda:99': torch finds no GPU here|has no GPU 99"),
    ],
)
def test_a_setting_that_cannot_be_is_told_before_the_training(
    changed: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("gridrun.tasks.settings.network", None)  # nothing comes so far
    with pytest.raises(UsageError, match=says):
        task.train(digits_cnn.make(**changed))
