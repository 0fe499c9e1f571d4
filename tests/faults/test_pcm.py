"""Networks on phase-change memory: what compensation gives back, what stays digital, which devices are the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gridrun import data
from gridrun.faults import pcm, pcm_devices
from gridrun.faults.pcm import accuracy_on_pcm, compensation, read_weights
from gridrun.nn.cnn import CNN
from gridrun.nn.resnet_trained import TrainedResNet
from gridrun.training.evaluation import accuracy, logits_at, parameters_of
from gridrun.training.seeding import generator

HOUR, YEAR = 3600.0, 365 * 24 * 3600.0
IMAGES, LABELS = (t[:200] for t in data.load("digits").test)
WEIGHTS = {"w": torch.randn(60, 50, generator=generator(0)), "v": 0.01 * torch.randn(40, 30, generator=generator(1))}


@pytest.fixture
def model() -> CNN:
    return CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0))


@pytest.fixture
def noiseless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices that are programmed exactly, read exactly, and drift with an exponent of 0.06."""
    monkeypatch.setattr(pcm_devices, "programming_std", torch.zeros_like)
    monkeypatch.setattr(pcm_devices, "read_noise", lambda target, seconds: torch.zeros_like(target))
    monkeypatch.setattr(
        pcm_devices, "exponent_mean_std", lambda target: (torch.full_like(target, 0.06), torch.zeros_like(target))
    )


def test_drift_alone_shrinks_every_weight_alike_and_compensation_gives_it_back(noiseless: None) -> None:
    drifted = read_weights(WEIGHTS, YEAR, 0, is_compensated=False)
    compensated = read_weights(WEIGHTS, YEAR, 0)
    for name, weights in WEIGHTS.items():
        assert torch.allclose(drifted[name], weights * (YEAR / 25) ** -0.06, rtol=1e-4)
        assert torch.allclose(compensated[name], weights, rtol=1e-4)


def test_biases_are_digital(noiseless: None, model: CNN) -> None:
    by_hand = {k: v * (YEAR / 25) ** -0.06 if v.dim() > 1 else v for k, v in parameters_of(model).items()}
    expected = accuracy(logits_at(model, by_hand, IMAGES), LABELS)
    assert accuracy_on_pcm(model, IMAGES, LABELS, YEAR, 1, is_compensated=False).tolist() == [expected]
    clean = accuracy(model(IMAGES), LABELS)
    assert accuracy_on_pcm(model, IMAGES, LABELS, YEAR, 2).tolist() == [clean] * 2


def test_compensation_is_the_ratio_of_all_currents() -> None:
    first, now = torch.tensor([[20.0, 0.0], [0.5, 10.0]]), torch.tensor([[12.0, 0.0], [0.25, 8.0]])
    assert compensation(first, now) == 30.5 / 20.25
    assert compensation(now, now) == 1.0 == compensation(torch.zeros(2, 1), torch.zeros(2, 1))


def test_every_tensor_is_compensated_by_its_own_devices() -> None:
    uneven = {"w": WEIGHTS["w"], "v": torch.full((40, 30), 3.0)}  # all at 25 uS, which drift the least
    assert torch.equal(read_weights(uneven, YEAR, 0)["w"], read_weights({"w": WEIGHTS["w"]}, YEAR, 0)["w"])


def test_at_25_s_there_is_nothing_to_compensate_and_later_there_is() -> None:
    for seconds, is_same in [(25, True), (HOUR, False)]:
        pair = [read_weights(WEIGHTS, seconds, 0, is_compensated=c) for c in (True, False)]
        assert all(torch.equal(pair[0][name], pair[1][name]) is is_same for name in WEIGHTS)


def test_the_factor_of_a_year_by_sampling() -> None:
    compensated, drifted = (read_weights(WEIGHTS, YEAR, 0, is_compensated=c)["w"] for c in (True, False))
    factor = (compensated / drifted).nanmedian().item()  # 0 / 0 where both devices read 0
    g = WEIGHTS["w"].abs() / WEIGHTS["w"].abs().max()
    mean = (-0.0155 * g.log() + 0.0244).clamp(0.049, 0.1)
    std = (-0.0125 * g.log() - 0.0059).clamp(0.008, 0.045)
    log_t = math.log(YEAR / 25)
    left = (g * torch.exp(-mean * log_t + (std * log_t) ** 2 / 2)).sum() / g.sum()  # E exp(-nu log t)
    assert factor == pytest.approx(1 / left.item(), rel=0.03)
    assert (compensated - WEIGHTS["w"]).norm() < 0.5 * (drifted - WEIGHTS["w"]).norm()


def test_the_error_of_a_weight_at_25_s_by_sampling() -> None:
    weights = {"w": torch.cat([torch.full((50_000,), -0.5), torch.tensor([1.0])])[None]}
    found = read_weights(weights, 25.0, 0)["w"][0, :-1]
    idle = 0.2635 / 25 / math.sqrt(2 * math.pi)  # mean of the other device
    assert found.mean().item() == pytest.approx(-0.5 + idle, abs=0.001)
    read = 0.0088 / 0.5**0.65 * math.sqrt(math.log(1e8)) * 0.5  # and 0.9527 uS of programming
    spread = math.hypot(0.952725 / 25, read)
    assert found.std().item() == pytest.approx(spread, rel=0.02)


def test_a_programming_is_the_same_at_all_times_and_its_reads_are_not() -> None:
    now, later, other = (read_weights(WEIGHTS, *of)["w"] for of in [(HOUR, 0), (HOUR + 1, 0), (HOUR, 1)])
    target = WEIGHTS["w"]
    errors = torch.stack([(w - target).flatten() for w in (now, later, other)])
    together = torch.corrcoef(errors)
    assert together[0, 1] > 0.3 > 0.1 > abs(together[0, 2])
    assert not torch.equal(now, later)
    assert torch.equal(now, read_weights({"w": WEIGHTS["w"], "v": WEIGHTS["v"]}, int(HOUR), 0)["w"])


def test_each_time_has_its_own_read_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcm_devices, "programming_std", torch.zeros_like)
    monkeypatch.setattr(pcm_devices, "exponent_mean_std", lambda target: (torch.zeros_like(target),) * 2)
    reads = [read_weights(WEIGHTS, seconds, 0, is_compensated=False)["w"] for seconds in (25.0, HOUR)]
    large = WEIGHTS["w"].abs() > 0.5
    errors = torch.stack([(read / WEIGHTS["w"] - 1)[large] for read in reads])
    assert errors.std(1).min() > 0.03 and abs(torch.corrcoef(errors)[0, 1]) < 0.06


def test_more_programmings_begin_with_the_fewer_and_leave_the_network_as_it_was(model: CNN) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    few, many = (accuracy_on_pcm(model, IMAGES, LABELS, HOUR, n, seed=1) for n in (2, 4))
    assert np.array_equal(few, many[:2])
    assert len(set(accuracy_on_pcm(model, IMAGES, LABELS, HOUR, 4, seed=2)) | set(many)) > 2
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert accuracy_on_pcm(model, IMAGES, LABELS, HOUR, 0).shape == (0,)
    with pytest.raises(ValueError, match="n_repeats=-1: want 0 or more"):
        accuracy_on_pcm(model, IMAGES, LABELS, HOUR, -1)


def test_batch_normalisation_of_a_resnet_is_digital(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    real = pcm.read_weights
    monkeypatch.setattr(pcm, "read_weights", lambda weights, *rest: seen.append(set(weights)) or real(weights, *rest))
    resnet = TrainedResNet((1, 8, 8), 10, n_blocks=1, width=4).eval()
    accuracy_on_pcm(resnet, IMAGES, LABELS, HOUR, 1)
    convolutions = {name for name, p in resnet.named_parameters() if p.dim() == 4}
    assert seen == [convolutions | {"linear.weight"}] and len(convolutions) == 7
