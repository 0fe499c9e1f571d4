"""Devices of phase-change memory: each formula by hand, and what is drawn by the statistics of many."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gridrun.faults import pcm_devices
from gridrun.faults.pcm_devices import Devices, drifted, exponent_mean_std, program, programming_std, read, targets
from gridrun.training.seeding import generator

N = 100_000
HOUR, YEAR = 3600.0, 365 * 24 * 3600.0


def many(g: float) -> Devices:
    """N weights of g times the largest (one of 8, the last), programmed: the pairs of the N."""
    weights = torch.cat([torch.full((N,), 8 * g), torch.tensor([8.0])])
    found = program(weights, generator(0, "devices"))
    return Devices(found.target[:, :N], found.programmed[:, :N], found.exponent[:, :N], found.weight_of_us)


def folded_mean(mean: float, std: float) -> float:
    """The mean of |N(mean, std^2)|."""
    below = 0.5 * (1 + math.erf(-mean / std / math.sqrt(2)))
    return std * math.sqrt(2 / math.pi) * math.exp(-((mean / std) ** 2) / 2) + mean * (1 - 2 * below)


def test_targets_by_hand() -> None:
    found = targets(torch.tensor([[1.0, -2.0], [0.0, 0.5]]))
    assert found.tolist() == [[[12.5, 0.0], [0.0, 6.25]], [[0.0, 25.0], [0.0, 0.0]]]


def test_weights_come_back_from_their_targets_with_sign_and_scale() -> None:
    weights = torch.randn(30, 4, generator=generator(1))
    devices = program(weights, generator(2))
    assert torch.allclose(pcm_devices.weights_of(devices, targets(weights)), weights, atol=1e-6)
    found = pcm_devices.weights_of(devices, devices.programmed)
    large = weights.abs() > 0.2 * weights.abs().max()
    assert large.sum() > 50 and torch.equal(found[large].sign(), weights[large].sign())


@pytest.mark.parametrize("weights", [torch.zeros(3, 2), torch.tensor([[0.0, 1e-42]]), torch.tensor([[-3e38, 3e38]])])
def test_zeros_and_extreme_weights_stay_finite(weights: Tensor) -> None:
    devices = program(weights, generator(0))
    found = pcm_devices.weights_of(devices, read(devices, YEAR, generator(1)))
    assert torch.isfinite(found).all() and found.abs().max() <= 1.5 * weights.abs().max()


@pytest.mark.parametrize(("g", "by_hand"), [(0.25, 0.681431), (0.5, 0.952725), (1.0, 1.0554)])
def test_programming_noise_in_microsiemens(g: float, by_hand: float) -> None:
    assert programming_std(torch.tensor(25 * g)).item() == pytest.approx(by_hand, rel=1e-5)
    error = (many(g).programmed - many(g).target)[0]
    assert error.std().item() == pytest.approx(by_hand, rel=0.01)
    assert error.mean().item() == pytest.approx(0, abs=0.02)


def test_a_device_programmed_to_zero_has_half_a_normal_conductance() -> None:
    idle = many(0.5).programmed[1]
    assert (idle == 0).double().mean().item() == pytest.approx(0.5, abs=0.01)
    assert idle.mean().item() == pytest.approx(0.2635 / math.sqrt(2 * math.pi), rel=0.02)
    assert idle.square().mean().item() == pytest.approx(0.2635**2 / 2, rel=0.03)


@pytest.mark.parametrize(
    ("g", "mean", "std"),
    [
        (0.0, 0.1, 0.045),  # both at their upper bounds, since ln g is infinite
        (math.exp(-3), 0.0709, 0.0316),  # 0.0155 * 3 + 0.0244, 0.0125 * 3 - 0.0059
        (1.0, 0.049, 0.008),  # both at their lower bounds: ln g is 0
    ],
)
def test_drift_exponents_hang_on_the_target(g: float, mean: float, std: float) -> None:
    found = [values.item() for values in exponent_mean_std(torch.tensor(25 * g))]
    assert found == pytest.approx([mean, std], rel=1e-5)
    drawn = many(g).exponent[0]
    assert (drawn >= 0).all()
    assert drawn.mean().item() == pytest.approx(folded_mean(mean, std), rel=0.01)
    second_moment = mean**2 + std**2
    assert drawn.square().mean().item() == pytest.approx(second_moment, rel=0.01)


def test_every_device_keeps_its_exponent() -> None:
    devices = many(0.5)
    hour, year = drifted(devices, HOUR), drifted(devices, YEAR)
    assert torch.equal(drifted(devices, 25.0), devices.programmed)
    alive = devices.programmed > 0
    exponent = (hour / year).log() / math.log(YEAR / HOUR)
    assert torch.allclose(exponent[alive], devices.exponent[alive], atol=1e-5)
    by_hand = devices.programmed.double() * (HOUR / 25) ** -devices.exponent.double()
    assert torch.allclose(hour.double(), by_hand, rtol=1e-5)


@pytest.mark.parametrize(
    ("g", "quality"),
    [(0.0, 0.2), (0.0081, 0.2), (0.1, 0.0088 / 0.1**0.65), (1.0, 0.0088)],  # 0.0088 / g^0.65 is 0.2 at g = 0.0082
)
def test_read_noise_by_hand(g: float, quality: float) -> None:
    for seconds, periods in [(25.0, 1e8), (YEAR, YEAR / 250e-9)]:
        found = pcm_devices.read_noise(torch.tensor(25 * g), seconds).item()
        assert found == pytest.approx(quality * math.sqrt(math.log(1 + periods)), rel=1e-5)


def test_reads_scatter_about_the_drifted_conductance() -> None:
    devices = many(0.5)
    mean = drifted(devices, HOUR)[0]
    ratio = read(devices, HOUR, generator(3))[0] / mean - 1
    by_hand = 0.0088 / 0.5**0.65 * math.sqrt(math.log(1 + HOUR / 250e-9))
    assert by_hand == pytest.approx(0.0668, abs=1e-4)
    assert ratio.std().item() == pytest.approx(by_hand, rel=0.01)
    assert ratio.mean().item() == pytest.approx(0, abs=0.001)
    assert (read(devices, YEAR, generator(4)) >= 0).all()


def test_what_the_model_does_not_know_is_refused() -> None:
    devices = many(0.5)
    for seconds in (24.9, 0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="the model of drift begins with the first read, at 25 s"):
            read(devices, seconds, generator(0))
    with pytest.raises(ValueError, match="NaN or infinity"):
        targets(torch.tensor([1.0, math.nan]))
