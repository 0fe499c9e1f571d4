"""Default points: the original's names and defaults, a word for every key, and no silence about a misspelt one."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from gridrun import UsageError, split
from gridrun.architectures import ARCHITECTURES, HELP, cnn, digits_cnn

ORIGINAL = {
    "dropout_prob": 0.0,
    "reg": 0.001,
    "n_attack_steps": 10,
    "beta_robustness": 0.125,
    "seed": 0,
    "n_hidden": 256,
    "batch_size": 100,
    "boundary_loss": "kl",
    "p_norm": "inf",
    "treat_as_constant": False,
    "awp": False,
    "awp_gamma": 0.1,
    "noisy_forward_std": 0.0,
    "warmup": 0,
    "attack_size_mismatch": 0.2,
    "initial_std_mismatch": 0.001,
    "optimizer": "adam",
}


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_common_keys_have_the_originals_defaults(architecture) -> None:
    point = architecture.make()
    assert {key: point[key] for key in ORIGINAL} == ORIGINAL
    assert point["architecture"] == architecture.name
    assert callable(point["train"])


def test_the_papers_schedule_is_lists_of_numbers() -> None:
    assert (cnn.make()["n_epochs"], cnn.make()["learning_rate"]) == ([35, 5], [1e-4, 1e-5])


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_key_has_a_word_and_every_word_a_key(architecture) -> None:
    assert {row[0] for row in architecture.settings()} <= set(HELP)
    assert all(row[2].endswith(".") for row in architecture.settings())
    assert set(HELP) == {key for a in ARCHITECTURES.values() for key in a.defaults}


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="digits_cnn.make.* no key 'lerning_rate'; did you mean 'learning_rate'"):
        digits_cnn.make(lerning_rate=[0.1])


def test_what_a_training_needs_of_a_cluster_is_no_part_of_its_points() -> None:
    big = dataclasses.replace(digits_cnn, launch_settings={"mem_gb": 8})
    assert big.make() == digits_cnn.make()
    assert digits_cnn.launch_settings == {}


def test_points_do_not_share_their_lists() -> None:
    digits_cnn.make()["hidden"].append(3)
    assert digits_cnn.make()["hidden"] == [128, 64]


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_key_but_the_data_folder_makes_another_network(architecture) -> None:
    cached = architecture.make()["train"].__gridrun__
    assert set(cached.dependencies) == {f"model:{key}" for key in architecture.defaults} - {"model:data_dir"}
    assert cached.table == architecture.name


def test_the_train_function_is_one_for_all_points_of_an_architecture() -> None:
    grid = split([digits_cnn.make(), digits_cnn.make(seed=5)], "seed", [1, 2])
    assert len({id(point["train"]) for point in grid}) == 1
    assert digits_cnn.make()["train"] is not cnn.make()["train"]


def test_points_are_made_without_torch() -> None:
    code = (
        "import sys; from gridrun.architectures import cnn; import gridrun.tasks.evaluate; cnn.make(); "
        "print([m for m in ('torch', 'pandas', 'seaborn', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
