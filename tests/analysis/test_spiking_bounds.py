"""Bounds of spikes: exact until a spike is in doubt, by every corner of a small box, and never left by any network."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from gridrun.analysis.boxes import DOUBLE, SINGLE
from gridrun.analysis.interval_bounds import bounds
from gridrun.analysis.spiking_bounds import rates, spike_bounds
from gridrun.nn.lsnn import LSNN
from gridrun.nn.spiking import Neurons
from gridrun.training.evaluation import parameters_of
from gridrun.training.seeding import generator

OTHER = Neurons(dt=0.5, tau=7.0, tau_adaptation=30.0, thr=0.02, beta=1.3, refr=3.0)
NEURONS = pytest.mark.parametrize("neurons", [Neurons(), OTHER, Neurons(refr=1.5, beta=0.0)])
SEQUENCES = torch.randn(5, 30, 2, generator=generator(0, "inputs"), dtype=torch.double)


def network(neurons: Neurons | None = None, n_hidden: int = 12) -> LSNN:
    model = LSNN((30, 2), 4, n_hidden, neurons, generator(0)).double()
    with torch.no_grad():
        model.W_out.mul_(30)
        model.W_rec.fill_diagonal_(5.0)  # which takes no part in the sums
        model.b_out.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    return model


def networks_within(size: float, model: LSNN, n: int = 10) -> Iterator[dict[str, Tensor]]:
    """Drawn evenly, in corners drawn at random, and in those that drive all neurons, or single ones, up or down."""
    theta, stream = parameters_of(model), generator(3)
    for _ in range(n):
        draws = {name: 2 * torch.rand(p.shape, generator=stream, dtype=p.dtype) - 1 for name, p in theta.items()}
        yield {name: p + size * p.abs() * draws[name] for name, p in theta.items()}
        yield {name: p + size * p.abs() * draws[name].sign() for name, p in theta.items()}
        yield {name: p + size * p.abs() * draws[name][0].sign() for name, p in theta.items()}
    for side in (-1, 1):
        yield {name: p + side * size * p.abs() for name, p in theta.items()}


def spikes_at(model: LSNN, theta: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Spikes (time, batch, n) of a network with these parameters."""
    other = LSNN((30, inputs.shape[2]), 4, len(model.W_rec), model.neurons).double()
    other.load_state_dict(theta)
    return other.record(inputs)[0].transpose(0, 1)


def bounds_of_spikes(model: LSNN, inputs: Tensor, size: float) -> tuple[Tensor, Tensor]:
    low, high = zip(*spike_bounds(model, inputs, size, DOUBLE), strict=True)
    return torch.stack(low), torch.stack(high)


@NEURONS
@pytest.mark.parametrize("size", [1e-4, 1e-2, 1.2])
def test_no_network_of_the_box_spikes_outside_the_bounds(neurons: Neurons, size: float) -> None:
    model = network(neurons)
    low, high = bounds_of_spikes(model, SEQUENCES, size)
    labels = model(SEQUENCES).argmax(1)
    found = bounds(model, SEQUENCES, labels, size)
    for theta in networks_within(size, model):
        spikes = spikes_at(model, theta, SEQUENCES)
        logits = spikes.mean(0) @ theta["W_out"] + theta["b_out"]
        assert ((low <= spikes) & (spikes <= high)).all()
        assert ((found.logits.low <= logits) & (logits <= found.logits.high)).all()
        margins = logits.gather(1, labels[:, None]) - logits
        margins.scatter_(1, labels[:, None], torch.inf)
        assert (margins >= found.margins).all()


@NEURONS
def test_with_size_0_every_spike_is_certain_and_is_the_networks(neurons: Neurons) -> None:
    model = network(neurons)
    low, high = bounds_of_spikes(model, SEQUENCES, 0.0)
    spikes, _, _ = model.record(SEQUENCES)
    assert spikes.any() and torch.equal(low, high) and torch.equal(low.transpose(0, 1), spikes)
    found, logits = bounds(model, SEQUENCES, torch.zeros(5, dtype=torch.long), 0.0), model(SEQUENCES)
    assert found.widths.max() < 1e-12
    assert (found.logits.low <= logits).all() and (logits <= found.logits.high).all()
    assert torch.equal(found.verified, logits.argmax(1) == 0)


@NEURONS
@pytest.mark.parametrize("size", [0.03, 0.3])
def test_until_a_spike_is_in_doubt_bounds_are_what_some_corner_does(neurons: Neurons, size: float) -> None:
    """Two neurons that drive each other, one input: 16 corners. While all earlier spikes are certain, a voltage is
    linear in the weights, so its extremes are in corners, and a spike in doubt comes in one and not in another."""
    model = LSNN((30, 1), 4, 2, neurons, generator(2)).double()
    inputs = SEQUENCES[:, :, :1] + 0.3
    low, high = bounds_of_spikes(model, inputs, size)
    theta, corners = parameters_of(model), []
    for a, b, c, d in product((-1.0, 1.0), repeat=4):
        signs = {"W_in": torch.tensor([[a, b]]), "W_rec": torch.tensor([[0.0, c], [d, 0.0]])}
        moved = {name: theta[name] + size * theta[name].abs() * sign for name, sign in signs.items()}
        corners.append(spikes_at(model, theta | moved, inputs))
    least, most = torch.stack(corners).amin(0), torch.stack(corners).amax(0)
    assert (low <= least).all() and (most <= high).all()
    in_doubt = (low != high).any(2)  # (time, batch)
    exact = in_doubt.long().cumsum(0) - in_doubt.long() == 0  # up to the first step with a doubt, and with it
    assert torch.equal(low[exact], least[exact]) and torch.equal(high[exact], most[exact])
    assert in_doubt.any() and exact[1:].any() and most[exact].any()


def test_a_voltage_that_only_just_reaches_the_threshold() -> None:
    """One neuron, W_in = 1, a first input with (1 - rv) x = 1.01 thr: a change of the weight by .9 % leaves the spike
    certain, one by 1.1 % does not."""
    model = LSNN((30, 1), 4, 1).double()
    with torch.no_grad():
        model.W_in.fill_(1.0)
    c = model.neurons
    inputs = torch.zeros(1, 30, 1, dtype=torch.double)
    inputs[0, 0, 0] = 1.01 * c.thr / (1 - c.decay)
    first = {size: next(spike_bounds(model, inputs, size, DOUBLE)) for size in (0.009, 0.011)}
    assert [spike.item() for spike in first[0.009]] == [1.0, 1.0]
    assert [spike.item() for spike in first[0.011]] == [0.0, 1.0]
    inputs[0, 0, 0] *= 0.99 / 1.01
    first = {size: next(spike_bounds(model, inputs, size, DOUBLE)) for size in (0.009, 0.011)}
    assert [spike.item() for spike in first[0.009]] == [0.0, 0.0]
    assert [spike.item() for spike in first[0.011]] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("unit_roundoff", "excess"), [(DOUBLE, 1e-16), (DOUBLE, -1e-16), (SINGLE, 1e-6), (SINGLE, -1e-6)]
)
def test_a_voltage_within_rounding_of_the_threshold_is_in_doubt(unit_roundoff: float, excess: float) -> None:
    model = LSNN((1, 1), 4, 1).double()
    with torch.no_grad():
        model.W_in.fill_(1.0)
    c = model.neurons
    for factor, expected in [(1, [0.0, 1.0]), (1000, [float(excess > 0)] * 2)]:
        inputs = torch.full((1, 1, 1), (1 + factor * excess) * c.thr / (1 - c.decay), dtype=torch.double)
        assert [spike.item() for spike in next(spike_bounds(model, inputs, 0.0, unit_roundoff))] == expected


def test_a_refractory_time_within_rounding_of_its_end_is_in_doubt() -> None:
    """After a spike r = 1.1 - 1, which may be above 0.1 or not, as it is rounded."""
    model = network(Neurons(refr=1.1))
    low, high = bounds_of_spikes(model, 10 + 0 * SEQUENCES, 0.0)
    fires = low[0] == 1
    assert fires.any() and (high[1][fires] == 1).any() and not low[1][fires].any()


def test_rates_are_the_mean_of_the_spikes_bounds_and_a_little_more() -> None:
    model = network(OTHER)
    low, high = bounds_of_spikes(model, SEQUENCES, 1e-3)
    found = rates(model, SEQUENCES, 1e-3, DOUBLE)
    assert (low != high).any()
    assert torch.allclose(found.low, low.mean(0), atol=1e-14) and torch.allclose(found.high, high.mean(0), atol=1e-14)
    for numbers in zip(*(t.flatten().tolist() for t in (found.low, low.sum(0), high.sum(0), found.high)), strict=True):
        least, few, many, most = map(Fraction, numbers)
        assert least < few / 30 <= many / 30 < most or few == many == 0


def test_bounds_for_networks_in_single_precision() -> None:
    """Their rounding leaves the bounds of exact arithmetic, but not those that allow for it."""
    single, inputs, labels = network().float(), SEQUENCES.float(), torch.zeros(5, dtype=torch.long)
    exact, rounded = (bounds(single, inputs, labels, 0.0, u).logits for u in (DOUBLE, SINGLE))
    logits = single(inputs).detach().double()
    assert not ((exact.low <= logits) & (logits <= exact.high)).all()
    assert ((rounded.low <= logits) & (logits <= rounded.high)).all()
    within = bounds(network(), inputs, labels, 1e-5, SINGLE).logits
    for theta in networks_within(1e-5, network(), n=3):
        nearest = {name: p.float() for name, p in theta.items()}
        logits = functional_call(single, nearest, (inputs,)).detach().double()
        assert ((within.low <= logits) & (logits <= within.high)).all()


def test_in_a_small_box_sequences_are_verified_and_in_a_larger_one_fewer() -> None:
    model, inputs = network(), torch.randn(100, 30, 2, generator=generator(9), dtype=torch.double)
    labels = model(inputs).argmax(1)
    shares = [bounds(model, inputs, labels, size).verified.double().mean().item() for size in (0.0, 1e-5, 1e-4, 1e-2)]
    assert shares[0] == 1 > shares[2] > shares[3] and shares[0] >= shares[1] > 0.9
