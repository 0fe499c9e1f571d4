"""LSNNs and ResNets through run(grid, "train"): they learn, go on from a checkpoint, and are evaluated as CNNs are."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gridrun import UsageError, data, run, split
from gridrun.architectures import ARCHITECTURES, cnn, digits_cnn, ecg_lsnn, resnet32, speech_lsnn
from gridrun.data.splits import Splits
from gridrun.tasks import settings
from gridrun.tasks import train as task
from gridrun.tasks.evaluate import mismatch_accuracy, worst_case_accuracy
from gridrun.training import loop
from gridrun.training.seeding import generator

SHORT = {"n_epochs": [1, 1], "learning_rate": [1e-2, 1e-3]}
ATTACKED = {"beta_robustness": 0.25, "n_attack_steps": 1, "dropout_prob": 0.2}
STANDARD: dict[str, Any] = {"beta_robustness": 0.0}


def lsnn(**other: Any) -> dict[str, Any]:
    return ecg_lsnn.make(**{"n_hidden": 16, **SHORT, **STANDARD, **other})


def resnet(**other: Any) -> dict[str, Any]:
    return resnet32.make(**{"n_blocks": 1, "width": 4, **SHORT, **STANDARD, **other})


def trained(point: dict[str, Any], **options: Any) -> dict[str, Any]:
    (found,) = run([point], "train", store_key="*", **options)("{*}")
    return found


def outcome(point: dict[str, Any]) -> dict[str, Any]:
    metrics = {key: value for key, value in point.items() if key.endswith("accuracy") or key in ("loss", "n_steps")}
    return metrics | {name: tensor.numpy().tobytes() for name, tensor in point["weights"].load().items()}


@pytest.fixture
def coloured(monkeypatch: pytest.MonkeyPatch) -> Splits:
    """300 images of 8x8 in the place of CIFAR-10's; the label is the brightest of three colours."""
    images = torch.randn(300, 3, 8, 8, generator=generator(0, "images"))
    labels = torch.randint(0, 3, (300,), generator=generator(0, "labels"))
    images[torch.arange(300), labels] += 1
    parts = [(images[a:b], labels[a:b]) for a, b in [(0, 200), (200, 250), (250, 300)]]
    splits = Splits(parts[0], parts[1], parts[2], n_classes=10)
    monkeypatch.setattr(data, "load", lambda *_, **__: splits)
    settings._splits.cache_clear()
    yield splits
    settings._splits.cache_clear()


def test_a_small_lsnn_learns_heartbeats_and_every_evaluation_takes_it() -> None:
    point = trained(lsnn(n_epochs=[3, 0]))
    assert set(point["weights"].load()) == {"W_in", "W_rec", "W_out", "b_out"}
    assert point["test_accuracy"] > 0.5  # of four classes
    assert not point["weights"].load()["W_rec"].diagonal().any()
    grid = split([point], "level", [0.0, 0.3])
    grid = run(grid, mismatch_accuracy, store_key="accuracy")("{*}", "{level}", 2)
    assert [len(p["accuracy"]) for p in grid] == [1, 2]
    assert grid[0]["accuracy"][0] == point["test_accuracy"]
    (attacked,) = run([point], worst_case_accuracy, store_key="worst")("{*}", 0.3, 2)
    assert attacked["worst"] < point["test_accuracy"]


@pytest.mark.parametrize("n_steps", [1, 3])
def test_an_lsnn_goes_on_from_its_checkpoint_and_ends_in_the_same_bits(
    n_steps: int, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    assert_resumed_in_the_same_bits(lsnn(**ATTACKED, validation_fraction=0.8), n_steps, monkeypatch, tmp_path)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_a_resnet_goes_on_from_its_checkpoint_and_ends_in_the_same_bits(
    n_steps: int, monkeypatch: pytest.MonkeyPatch, tmp_path, coloured: Splits
) -> None:
    assert_resumed_in_the_same_bits(
        resnet(**ATTACKED, eta_train=0.1, clipping_alpha=2.0), n_steps, monkeypatch, tmp_path
    )


def assert_resumed_in_the_same_bits(
    point: dict[str, Any], n_steps: int, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("GRIDRUN_CHECKPOINT_S", "0")
    unbroken = outcome(trained(point, cache_dir=tmp_path / "unbroken"))
    count, real = itertools.count(), loop.objective

    def failing(*arguments: Any) -> Any:
        if next(count) == n_steps:
            raise RuntimeError("stopped")
        return real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="stopped"):
        patch.setattr(loop, "objective", failing)
        trained(point)
    again = trained(point)
    log = [json.loads(line) for line in (again["weights"].path.parent / "log.jsonl").read_text().splitlines()]
    assert [line["resumed"] for line in log if "resumed" in line] == [n_steps]
    assert outcome(again) == unbroken


def test_the_firing_rate_term_pulls_the_rates_to_ten_hertz() -> None:
    def rates(reg: float) -> torch.Tensor:
        model = settings.trained(trained(lsnn(reg=reg, n_epochs=[1, 0])))
        with torch.no_grad():
            return model.forward_with_rates(settings.splits(lsnn()).test[0])[1].mean(0)

    free, held = ((rates(reg) - 0.01).square().sum().item() for reg in (0.0, 100.0))
    assert held < free / 2


def test_a_resnet_is_judged_with_the_statistics_of_its_weights(coloured: Splits) -> None:
    point = trained(resnet(n_epochs=[4, 1]))
    weights = point["weights"].load()
    assert weights["bn1.running_var"].shape == (4,)
    model = settings.trained(point)
    logits = torch.cat([model(image[None]) for image in coloured.test[0]])  # one by one: no batch statistics
    assert (logits.argmax(1) == coloured.test[1]).double().mean().item() == point["test_accuracy"] > 0.5
    (level,) = run([point], mismatch_accuracy, store_key="accuracy")("{*}", 0.0)
    assert level["accuracy"][0] == point["test_accuracy"]


def test_clipped_weights_lie_within_two_standard_deviations(coloured: Splits) -> None:
    clipped, free = (trained(resnet(clipping_alpha=alpha, checkpoint="final")) for alpha in (2.0, 0.0))
    for point, most in [(clipped, 2.3), (free, 10.0)]:  # clipping makes the deviation itself smaller
        tensors = [t for t in point["weights"].load().values() if t.dim() > 1]
        farthest = max(((t - t.mean()).abs().max() / t.std()).item() for t in tensors)
        assert farthest < most
    assert farthest > 2.5


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (digits_cnn.make(reg=0.1), "reg=0.1 would have no effect: only the LSNNs have firing rates"),
        (resnet(n_hidden=16), "n_hidden=16 would have no effect"),
        (lsnn(tau=0.0), "tau=0.0: want more than 0"),
        (lsnn(dropout_prob=0.3, dropout_kind="standard"), "dropout 0.3 'standard' of spiking neurons"),
        (lsnn(dataset="digits"), r"samples \(1, 8, 8\).*want \(time, channels\)"),
        (cnn.make(dataset="tones"), r"tones: sequences \(time, channels\) = \(98, 40\), not images"),
        (resnet(dataset="tones"), r"tones: sequences \(time, channels\) = \(98, 40\), not images"),
        (resnet(eta_train=0.1, noisy_forward_std=0.1), "both forward noise: keep one of them"),
        (resnet(eta_train=0.1, eta_mode="rang"), "no scale of noise 'rang'; there are ind, range"),
        (resnet(clipping_alpha=-1.0), "clipping_alpha=-1.0: want 0"),
        (
            {**lsnn(), "hidden": [64]},
            "ecg_lsnn has no key 'hidden', it is one of digits_cnn, cnn: nothing would read it",
        ),
        ({**lsnn(), "lerning_rate": [0.1]}, "no setting 'lerning_rate'; did you mean 'learning_rate'"),
        ({**lsnn(), "architecture": "ecg_lsn"}, "no architecture 'ecg_lsn'; did you mean 'ecg_lsnn'"),
    ],
)
def test_settings_that_cannot_be_are_one_line_each(point: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings.network(point)
        settings.method(point)


def test_the_networks_have_the_sizes_that_are_published() -> None:
    sizes = {"ecg": ecg_lsnn.make(), "speech": speech_lsnn.make(), "cifar": cnn.make_cifar(), "resnet": resnet32.make()}
    found = {name: sum(p.numel() for p in settings.network(point).parameters()) for name, point in sizes.items()}
    cifar = 64 * (3 * 16 + 1) + 64 * (64 * 16 + 1) + (64 * 36 + 1) * 256 + 257 * 64 + 65 * 10
    assert found == {"ecg": 67_076, "speech": 77_832, "cifar": cifar, "resnet": 464_154}


def test_the_page_on_networks_has_every_architecture_with_its_parameters() -> None:
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.()]+)` \|.* ([\d,]+) \| `", page, re.MULTILINE))
    points = {name: architecture.make() for name, architecture in ARCHITECTURES.items()}
    points["cnn.make_cifar()"] = cnn.make_cifar()
    found = {name: sum(p.numel() for p in settings.network(point).parameters()) for name, point in points.items()}
    assert {name: int(number.replace(",", "")) for name, number in rows.items()} == found


def test_called_directly_it_returns_weights() -> None:
    assert set(task.train(lsnn(n_epochs=[1, 0]))["weights"].load()) == {"W_in", "W_rec", "W_out", "b_out"}
