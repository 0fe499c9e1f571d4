"""The cached training: a folder that is whole or not there, hits without torch, damage found, equal bits everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gridrun import GridrunError, UsageError, configure, run, split
from gridrun.architectures import cnn, digits_cnn, ecg_lsnn
from gridrun.tasks import train as task
from gridrun.tasks.settings import MissingData

TINY = {
    "n_epochs": [1, 1],
    "learning_rate": [1e-3, 1e-4],
    "channels": [4, 4],
    "hidden": [16],
    "beta_robustness": 0.25,
    "n_attack_steps": 2,
    "noisy_forward_std": 0.3,
    "dropout_prob": 0.2,
    "validation_fraction": 0.5,
}


def tiny(**settings) -> dict:
    return digits_cnn.make(**{**TINY, **settings})


def trained(grid, **options):
    return run(grid, "train", store_key="*", **options)("{*}")


def bits(weights) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in weights.load().items()}


def folder_of(point) -> Path:
    return point["weights"].path.parent


def test_called_directly_it_returns_weights_and_writes_nothing(sessions: Path) -> None:
    result = task.train(tiny())
    assert not sessions.exists()
    assert {"weights", "test_accuracy", "training_accuracy", "validation_accuracy", "loss", "n_steps"} == set(result)
    assert result["n_steps"] == 2 * 6
    assert bits(result["weights"]) == bits(trained([tiny()])[0]["weights"])


def test_a_run_keeps_weights_metrics_and_a_log_and_then_says_it_is_complete() -> None:
    (point,) = trained([tiny()])
    folder = folder_of(point)
    assert sorted(p.name for p in folder.iterdir()) == ["completed", "log.jsonl", "metrics.json", "weights.safetensors"]
    assert json.loads((folder / "metrics.json").read_text())["test_accuracy"] == point["test_accuracy"]
    started, *epochs = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert "started" in started
    assert [line["step"] for line in epochs] == [6, 12]
    assert epochs[-1]["validation_accuracy"] == point["validation_accuracy"]
    assert folder.name == point["session_id"] == point["digits_cnn_session_id"]


def test_test_accuracy_is_that_of_the_stored_weights() -> None:
    from gridrun.data import load
    from gridrun.tasks.settings import network

    (point,) = trained([tiny()])
    model = network(point)
    model.load_state_dict(point["weights"].load())
    images, labels = load("digits").test
    assert point["test_accuracy"] == (model(images).argmax(1) == labels).double().mean().item()


@pytest.mark.parametrize("damage", ["bit", "torn", "absent", "incomplete"])
def test_damage_is_found_and_the_point_trained_again(damage: str) -> None:
    (point,) = trained([tiny()])
    before, path = bits(point["weights"]), point["weights"].path
    data = path.read_bytes()
    if damage == "bit":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 16]) + data[-8:])
    elif damage == "torn":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "absent":
        path.unlink()
    else:
        (path.parent / "completed").unlink()
    with pytest.raises(GridrunError):
        trained([tiny()], run_mode="load")
    assert bits(trained([tiny()])[0]["weights"]) == before


def test_weights_damaged_after_the_check_are_not_used() -> None:
    (point,) = trained([tiny()])
    path = point["weights"].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(GridrunError, match="damaged.*-force"):
        point["weights"].load()


def test_a_log_is_appended_to_never_rewritten() -> None:
    (point,) = trained([tiny()])
    log = folder_of(point) / "log.jsonl"
    before = log.read_text()
    (folder_of(point) / "completed").unlink()
    (again,) = trained([tiny()])
    assert (folder_of(again) / "log.jsonl").read_text().startswith(before) or folder_of(again) != folder_of(point)
    assert log.read_text().startswith(before)


def test_a_hit_imports_no_torch(sessions: Path) -> None:
    trained([tiny()])
    code = (
        "import sys; from gridrun import run; from gridrun.architectures import digits_cnn\n"
        f"(point,) = run([digits_cnn.make(**{TINY!r})], 'train', run_mode='load', store_key='*')('{{*}}')\n"
        "print(point['n_steps'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12", "False"]


def test_the_same_bits_one_by_one_side_by_side_and_in_processes(tmp_path: Path) -> None:
    grid = split([tiny()], "seed", [0, 1, 2, 3])
    torch.set_num_threads(2)  # the point's own number counts, not this one
    ways = {"one": {}, "threads": {"n_threads": 4}, "processes": {"n_threads": 2, "backend": "processes"}}
    found = {name: trained(grid, cache_dir=tmp_path / name, **way) for name, way in ways.items()}
    assert torch.get_num_threads() == 2
    for name in ("threads", "processes"):
        for a, b in zip(found["one"], found[name], strict=True):
            assert bits(a["weights"]) == bits(b["weights"])


def test_the_users_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    trained([tiny(seed=9)])
    assert torch.equal(before, torch.random.get_rng_state())


def test_settings_may_be_templates() -> None:
    point = configure(tiny(n_epochs="{epochs_of({size})}"), {"size": "long", "epochs_of": {"long": [1, 1]}.get})
    (found,) = trained(point)
    assert found["digits_cnn_session_id"] == trained([tiny()])[0]["digits_cnn_session_id"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"awp": True}, "boundary_loss='kl' has no place here: set boundary_loss=\"madry\""),
        ({"n_hidden": 128}, "set by hidden"),
        ({"boundary_loss": "madri"}, "no boundary loss 'madri'; there are kl"),
        ({"optimizer": "adamw"}, "no optimizer 'adamw'; there are adam, sgd"),
        ({"dataset": "digit"}, "no data set 'digit'; there are digits"),
        ({"n_epochs": [1]}, "n_epochs"),
        ({"checkpoint": "best", "validation_fraction": 0.0}, "validation_fraction above 0"),
        ({"channels": [4] * 5}, "used up at convolution 3"),
    ],
)
def test_settings_that_cannot_be_are_one_line_each(setting: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.train(tiny(**setting))


def test_absent_data_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingData, match="FashionMNIST/raw.*http"):
        task.train(cnn.make(data_dir=str(tmp_path)))


@pytest.mark.data("FashionMNIST/raw")
def test_fashion_mnist_by_changing_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    point = tiny(dataset="fashion_mnist", beta_robustness=0.0, n_epochs=[1, 0], validation_fraction=0.9)
    (found,) = trained([point])
    assert found["n_steps"] == 60
    assert found["weights"].load()["dense.0.weight"].shape == (16, 4 * 7 * 7)
    assert found["test_accuracy"] > 0.2


@pytest.mark.data(*(f"mitdb/{name}.dat" for name in (100, 106, 119, 208)))
def test_a_spiking_network_learns_heartbeats_of_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MIT-BIH beats of four classes, as many of each: twice a guess, on beats that no training saw."""
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    rates = {"n_epochs": [8, 2], "learning_rate": [1e-2, 1e-3]}
    (found,) = trained([ecg_lsnn.make(dataset="ecg", n_hidden=32, beta_robustness=0.0, seed=0, **rates)])
    assert found["test_accuracy"] > 0.5 and found["validation_accuracy"] > 0.5
    assert found["weights"].load()["W_rec"].shape == (32, 32)
