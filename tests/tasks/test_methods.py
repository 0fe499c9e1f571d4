"""From keys to methods: what each key reaches, and one line for what would be read by nobody or contradicts itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from tiny_study import ROOT

from gridrun import UsageError
from gridrun.architectures import ARCHITECTURES, digits_cnn, resnet32
from gridrun.tasks import settings
from gridrun.tasks import train as task
from gridrun.tasks.methods import OPTIMIZER_KEYS, OWNERS
from gridrun.training.adversarial import ParameterAttack
from gridrun.training.amp import AMP
from gridrun.training.awp import AWP
from gridrun.training.sam import SAM
from gridrun.training.state import start

AWP_KEYS: dict[str, Any] = {"awp": True, "boundary_loss": "madry", "beta_robustness": 0.0}
AMP_KEYS: dict[str, Any] = {"amp": True, "boundary_loss": "madry", "beta_robustness": 0.0}
MADRY = ParameterAttack(0.2, boundary_loss="madry")


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, None),
        (AWP_KEYS, AWP(MADRY, 0.1)),
        ({**AWP_KEYS, "awp_gamma": 0.3}, AWP(MADRY, 0.3)),
        ({**AWP_KEYS, "awp_perturb_input": True, "eps_pga": 0.01, "nb_iter": 5}, AWP(MADRY, 0.1, 0.01, 5)),
        (AMP_KEYS, AWP(MADRY, 1.0)),
        ({"amp": True, "amp_eps": 0.5, "amp_lr": 2.0, "amp_steps": 3, "beta_robustness": 0.0}, AMP(0.5, 2.0, 3)),
        ({"sam": True, "beta_robustness": 0.0}, SAM(0.05)),
        ({"sam": True, "sam_rho": 0.5, "sam_adaptive": True, "beta_robustness": 0.0}, SAM(0.5, True)),
    ],
)
def test_keys_make_the_method(keys: dict[str, Any], wanted: Any) -> None:
    method = settings.method(digits_cnn.make(**keys))
    assert method.displacement == wanted
    assert method.beta_robustness == (0.0 if keys else 0.125)


@pytest.mark.parametrize("name", OPTIMIZER_KEYS)
def test_every_key_of_an_optimiser_reaches_it(name: str) -> None:
    changed = {key: digits_cnn.defaults[key] * 2 for key in OPTIMIZER_KEYS[name]}
    schedule = settings.schedule(digits_cnn.make(optimizer=name, **changed))
    optimizer = start(torch.nn.Linear(2, 1), schedule.optimizer, schedule.optimizer_settings).optimizer
    for key, setting in OPTIMIZER_KEYS[name].items():
        assert getattr(optimizer, setting) == changed[key]


@pytest.mark.parametrize("name", OPTIMIZER_KEYS)
def test_the_points_defaults_are_the_optimisers(name: str) -> None:
    optimizer = start(torch.nn.Linear(2, 1), name).optimizer
    for key, setting in OPTIMIZER_KEYS[name].items():
        assert getattr(optimizer, setting) == digits_cnn.defaults[key]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"awp": True}, "boundary_loss='kl' has no place here: set boundary_loss=\"madry\""),
        ({**AWP_KEYS, "beta_robustness": 0.25}, "beta_robustness=0.25 beside AWP"),
        ({**AWP_KEYS, "sam": True}, "awp=True and sam=True are two methods: keep one of them"),
        ({**AMP_KEYS, "awp": True}, "awp=True and amp=True are two methods"),
        ({**AWP_KEYS, "awp_perturb_input": True}, "eps_pga=0.0 with awp_perturb_input=True: want the size"),
        (
            {**AWP_KEYS, "eps_pga": 0.1},
            "eps_pga=0.1 would have no effect without awp_perturb_input=True; leave it at 0.0",
        ),
        ({"awp_gamma": 0.5}, "awp_gamma=0.5 would have no effect without awp=True; leave it at 0.1"),
        ({"amp_eps": 0.5}, "amp_eps=0.5 would have no effect without amp=True"),
        ({**AMP_KEYS, "amp_steps": 5}, "amp_steps=5 would have no effect without amp_eps above 0; leave it at 1"),
        ({"treat_as_constant": True, "beta_robustness": 0.0}, "no effect without beta_robustness above 0"),
        ({"dropout_kind": "standard"}, "dropout_kind='standard' would have no effect without dropout_prob above 0"),
        ({"sam_rho": 1.0}, "sam_rho=1.0 would have no effect without sam=True"),
        ({"optimizer": "esgd", "abcd_L": 3}, "abcd_L=3 would have no effect without optimizer='abcd'"),
        ({"esgd_L": 20}, "esgd_L=20 would have no effect without optimizer='esgd'"),
        ({"treat_as_constant": True, "boundary_loss": "madry"}, "no gradient: amp=True, with beta_robustness=0"),
        ({"optimizer": "asgd"}, "no optimizer 'asgd'; there are adam, sgd, esgd, abcd"),
        ({"optimizer": "abcd", "abcd_L": 0}, "abcd_L=0: want a whole number, 1 or more"),
    ],
)
def test_what_contradicts_itself_or_is_read_by_nobody_is_one_line(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.train(digits_cnn.make(n_epochs=[1], learning_rate=[1e-3], **keys))


def test_a_misspelt_key_put_into_a_point_names_the_nearest() -> None:
    point = {**digits_cnn.make(**AWP_KEYS), "awp_gama": 0.5}
    with pytest.raises(UsageError, match="no setting 'awp_gama'; did you mean 'awp_gamma'"):
        settings.method(point)


def test_keys_of_an_experiments_own_are_left_alone() -> None:
    own = {"method": "both", "level": 0.3, "noise_seed": 1, "size": "demo", "n_repeats": 10, "test_accuracy": 0.9}
    assert settings.method({**digits_cnn.make(), **own}) == settings.method(digits_cnn.make())


def test_a_resnets_mode_of_noise_without_noise_is_refused() -> None:
    with pytest.raises(UsageError, match="eta_mode='range' would have no effect without eta_train above 0"):
        settings.method(resnet32.make(eta_mode="range"))


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_architecture_has_an_owner_with_all_its_keys_or_none(architecture: Any) -> None:
    for owner, _, keys in OWNERS:
        assert len({key in architecture.defaults for key in (owner, *keys)}) == 1


def test_the_page_on_training_names_the_keys_that_there_are() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2] for line in page.partition("## Where")[0].splitlines() if line.startswith("| ")]
    named = {key for row in rows for key in re.findall(r"`([A-Za-z0-9_]+)", row)}
    assert named - set(digits_cnn.defaults) == set()
    owned = {key for _, _, keys in OWNERS for key in keys} & set(digits_cnn.defaults)
    assert owned - set(re.findall(r"`([A-Za-z0-9_]+)", page)) == set()


def test_a_training_by_each_method_is_another_network() -> None:
    short = {"channels": [2], "hidden": [8], "n_epochs": [1], "learning_rate": [1e-3], "n_attack_steps": 1}
    ways = {
        "standard": {"beta_robustness": 0.0},
        "awp": AWP_KEYS,
        "amp": AMP_KEYS,
        "sam": {"sam": True, "beta_robustness": 0.0},
        "asam": {"sam": True, "sam_adaptive": True, "beta_robustness": 0.0},
        "abcd": {"optimizer": "abcd", "beta_robustness": 0.0},
        "esgd": {"optimizer": "esgd", "esgd_L": 2, "beta_robustness": 0.0},
        "esgd and forward noise": {"optimizer": "esgd", "esgd_L": 2, "beta_robustness": 0.0, "noisy_forward_std": 0.3},
    }

    def bits(keys: dict[str, Any]) -> bytes:
        weights = task.train(digits_cnn.make(**short, **keys))["weights"].load()
        return b"".join(tensor.numpy().tobytes() for tensor in weights.values())

    found = {name: bits(keys) for name, keys in ways.items()}
    assert len(set(found.values())) == len(ways)
    assert found == {name: bits(keys) for name, keys in ways.items()}
