"""The spiking network against plain sums in NumPy, step by step, forwards and backwards through time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional as F

from gridrun.nn.lsnn import LSNN
from gridrun.nn.spiking import Neurons, evolve, mean_spikes
from gridrun.training.seeding import generator

SLOW = Neurons(dt=0.5, tau=7.0, tau_adaptation=30.0, thr=0.02, beta=1.3, refr=3.0, dampening_factor=0.4)


def network(neurons: Neurons | None = None, n_hidden: int = 12, seed: int = 0) -> LSNN:
    """Weights large enough that neurons fire, in double precision."""
    model = LSNN((30, 2), 4, n_hidden, neurons, generator(seed)).double()
    with torch.no_grad():
        model.W_out.mul_(30)
        model.b_out.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    return model


def sequences(n: int = 5, time: int = 30, seed: int = 0) -> Tensor:
    return torch.randn(n, time, 2, generator=generator(seed, "inputs"), dtype=torch.double)


def in_numpy(model: LSNN, inputs: Tensor, alive: np.ndarray | float = 1.0) -> dict[str, np.ndarray]:
    """The equations one after the other, a batch at a time: z, V, B, [r <= .1] (time, batch, n), and the logits."""
    c = model.neurons
    w_in, w_rec, w_out, b_out = (p.detach().numpy() for p in (model.W_in, model.W_rec, model.W_out, model.b_out))
    rv, rb = math.exp(-c.dt / c.tau), math.exp(-c.dt / c.tau_adaptation)
    x = inputs.numpy()
    V = z = b = r = np.zeros((len(x), len(w_rec)))
    traces: dict[str, list] = {"z": [], "V": [], "B": [], "free": []}
    for t in range(x.shape[1]):
        b = rb * b + (1 - rb) * z
        B = c.thr + c.beta * b
        V = rv * V + (1 - rv) * (x[:, t] @ w_in + z @ w_rec) - z * B * c.dt
        free = (r <= 0.1) * alive
        z = free * np.heaviside((V - B) / B, 0.0) / c.dt
        r = np.clip(r + c.refr * z - 1, 0, c.refr)
        for trace, value in zip(traces.values(), (z, V, B, free)):
            trace.append(value)
    found = {name: np.array(trace) for name, trace in traces.items()}
    return {**found, "logits": found["z"].mean(0) @ w_out + b_out}


def backwards_in_numpy(model: LSNN, inputs: Tensor, g_rates: np.ndarray, alive: float = 1.0) -> tuple:
    """d loss / d W_in and W_rec from d loss / d rates (batch, n), by the chain rule on each line of `in_numpy`."""
    c, f, x = model.neurons, in_numpy(model, inputs, alive), inputs.numpy()
    w_in, w_rec = model.W_in.detach().numpy(), model.W_rec.detach().numpy()
    rv, rb = math.exp(-c.dt / c.tau), math.exp(-c.dt / c.tau_adaptation)
    time = x.shape[1]
    g_in, g_rec = np.zeros_like(w_in), np.zeros_like(w_rec)
    later_V, later_z, later_b = (np.zeros_like(g_rates) for _ in range(3))
    for t in reversed(range(time)):
        V, B = f["V"][t], f["B"][t]
        z_before = f["z"][t - 1] if t else np.zeros_like(V)
        g_z = g_rates / time + later_z
        g_u = g_z * f["free"][t] * c.dampening_factor * np.maximum(1 - np.abs((V - B) / B), 0) / c.dt
        g_V = later_V + g_u / B
        g_B = -g_u * V / B**2 - g_V * z_before * c.dt
        g_b = later_b + c.beta * g_B
        g_in += (1 - rv) * x[:, t].T @ g_V
        g_rec += (1 - rv) * z_before.T @ g_V
        later_V, later_b = rv * g_V, rb * g_b
        later_z = (1 - rv) * g_V @ w_rec.T - g_V * B * c.dt + (1 - rb) * g_b
    np.fill_diagonal(g_rec, 0)
    return g_in, g_rec


def by_autograd(model: LSNN, inputs: Tensor, masks: list[Tensor] | None = None) -> Tensor:
    """Rates (batch, n) by torch's own derivatives of each line; a spike's is 0 + hat (u - u), with hat held."""
    c, recurrent = model.neurons, model.recurrent()
    rv, rb = c.decay, c.decay_adaptation
    V = z = b = r = torch.zeros(len(inputs), len(recurrent), dtype=torch.double)
    total = torch.zeros_like(V)
    for x in inputs.unbind(1):
        b = rb * b + (1 - rb) * z
        B = c.thr + c.beta * b
        V = rv * V + (1 - rv) * (x @ model.W_in + z @ recurrent) - z * B * c.dt
        u = (V - B) / B
        hat = c.dampening_factor * (1 - u.detach().abs()).clamp(min=0)
        z = ((u > 0) + hat * (u - u.detach())) * (r <= 0.1) / c.dt * (1 if masks is None else masks[0])
        r = (r + c.refr * z.detach() - 1).clamp(0, c.refr)
        total = total + z
    return total / inputs.shape[1]


CONSTANTS = pytest.mark.parametrize("neurons", [Neurons(), SLOW], ids=["original", "other"])


@CONSTANTS
def test_spikes_voltages_and_logits_are_those_of_numpy(neurons: Neurons) -> None:
    model, inputs = network(neurons), sequences()
    expected = in_numpy(model, inputs)
    assert 0.02 < expected["z"].mean() < 0.5
    assert (expected["free"] == 0).any()
    with torch.no_grad():
        found = dict(zip("zVB", model.record(inputs)))
        logits = model(inputs)
    assert np.array_equal(found["z"].transpose(0, 1), expected["z"])
    for name in "VB":
        assert np.abs(found[name].transpose(0, 1).numpy() - expected[name]).max() < 1e-12
    assert np.abs(logits.numpy() - expected["logits"]).max() < 1e-12
    assert torch.equal(logits, model(inputs).detach())  # with a gradient and without: one number


@CONSTANTS
@pytest.mark.parametrize("dropped", [False, True])
def test_the_gradient_is_numpys_and_autograds(neurons: Neurons, dropped: bool) -> None:
    model, inputs = network(neurons), sequences()
    masks = model.dropout_masks(0.3, 5, generator(1)) if dropped else None
    alive = masks[0].numpy() if masks else 1.0
    weights = torch.randn(5, 12, generator=generator(2), dtype=torch.double)
    _, rates = model.forward_with_rates(inputs, masks)
    ours = torch.autograd.grad((rates * weights).sum(), [model.W_in, model.W_rec])
    plain = by_autograd(model, inputs, masks)
    assert torch.allclose(plain, rates, atol=1e-15)
    theirs = torch.autograd.grad((plain * weights).sum(), [model.W_in, model.W_rec])
    by_hand = backwards_in_numpy(model, inputs, weights.numpy(), alive)
    for found, second, third in zip(ours, theirs, by_hand, strict=True):
        assert found.abs().max() > 1e-3
        assert torch.allclose(found, second, atol=1e-13)
        assert np.abs(found.numpy() - third).max() < 1e-13


def test_two_neurons_and_three_steps_by_hand() -> None:
    """rv = rb = 1/2; only neuron 0 gets input, and it drives neuron 1. thr 1, beta 0, no refractory time."""
    halves = Neurons(tau=1 / math.log(2), tau_adaptation=1 / math.log(2), thr=1.0, beta=0.0, refr=0.0)
    current = torch.zeros(3, 1, 2, dtype=torch.double)
    current[0, 0, 0] = 3.0
    current.requires_grad_()
    recurrent = torch.tensor([[0.0, 2.5], [0.0, 0.0]], dtype=torch.double, requires_grad=True)
    steps = list(evolve(current.detach(), recurrent.detach(), halves))
    # V0: 3/2 (spike), 3/4 - 1, -1/8.  V1: 0, 2.5/2 (spike), 1.25/2 - 1
    assert [s.voltage[0].tolist() for s in steps] == [[1.5, 0.0], [-0.25, 1.25], [-0.125, -0.375]]
    assert [s.spikes[0].tolist() for s in steps] == [[1, 0], [0, 1], [0, 0]]
    rates = mean_spikes(current, recurrent, halves)
    assert torch.allclose(rates, torch.tensor([[1 / 3, 1 / 3]], dtype=torch.double))
    g_current, g_recurrent = torch.autograd.grad(3 * rates[0, 1], [current, recurrent])
    # hats of neuron 1: u = -1, 1/4, -11/8: 0, .3 * 3/4 = .225, 0; of neuron 0 at step 0: u = 1/2: .15
    assert g_recurrent[0, 1].item() == pytest.approx(0.225 / 2)  # its V1 at step 1 has z0 / 2
    assert g_current[0, 0, 1].item() == pytest.approx(0.225 / 4)  # half in, half kept
    assert g_current[0, 0, 0].item() == pytest.approx(0.225 * 2.5 / 2 * 0.15 / 2)
    assert g_current[1, 0, 0].item() == g_current[2].abs().sum().item() == 0


def test_the_readout_and_its_gradient_by_differences() -> None:
    model, inputs = network(), sequences()
    labels = torch.tensor([0, 1, 2, 3, 0])
    loss = F.cross_entropy(model(inputs), labels)
    g_out, g_bias = torch.autograd.grad(loss, [model.W_out, model.b_out])
    for parameter, gradient, place in [(model.W_out, g_out, (3, 1)), (model.b_out, g_bias, (2,))]:
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter[place] += step
                values.append(F.cross_entropy(model(inputs), labels).item())
                parameter[place] -= step
        assert gradient[place].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def test_parameters_of_the_papers_network_by_hand() -> None:
    ecg, speech = LSNN((100, 2), 4), LSNN((98, 40), 8)
    assert sum(p.numel() for p in ecg.parameters()) == 2 * 256 + 256 * 256 + 256 * 4 + 4 == 67_076
    assert sum(p.numel() for p in speech.parameters()) == 40 * 256 + 256 * 256 + 256 * 8 + 8


def test_initial_weights_have_the_originals_distributions() -> None:
    before = torch.random.get_rng_state()
    model, same, other = (LSNN((98, 40), 8, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(model.W_rec, same.W_rec) and not torch.equal(model.W_rec, other.W_rec)
    cut = 2 / 0.8796
    for weight, std in [(model.W_in, (2 / 296) ** 0.5), (model.W_rec, 1 / 16), (model.W_out, 0.008796)]:
        assert weight.std().item() == pytest.approx(std, rel=0.05)
        assert weight.abs().max().item() == pytest.approx(cut * std, rel=0.02)
    assert torch.equal(model.W_rec.diagonal(), torch.zeros(256))
    assert not model.b_out.any()


def test_the_diagonal_does_nothing_and_has_no_gradient() -> None:
    model, inputs = network(), sequences()
    before = model(inputs)
    with torch.no_grad():
        model.W_rec.fill_diagonal_(5.0)
    after = model(inputs)
    assert torch.equal(before, after)
    (gradient,) = torch.autograd.grad(after.square().sum(), [model.W_rec])
    assert not gradient.diagonal().any() and gradient.any()


def test_many_networks_at_once_give_what_each_gives() -> None:
    model, inputs = network(), sequences()
    stacked = {name: torch.stack([p * (1 + 0.1 * i) for i in range(3)]) for name, p in model.named_parameters()}
    with torch.no_grad():
        at_once = vmap(lambda theta: functional_call(model, theta, (inputs,)))(stacked)
        for i in range(3):
            alone = functional_call(model, {name: p[i] for name, p in stacked.items()}, (inputs,))
            assert torch.allclose(at_once[i], alone, atol=1e-12)
    assert not torch.allclose(at_once[0], at_once[2])


def test_rates_are_the_mean_over_time_of_the_spikes_and_give_the_activity_loss() -> None:
    model, inputs = network(), sequences()
    logits, rates = model.forward_with_rates(inputs)
    assert torch.equal(logits, model(inputs))
    spikes, _, _ = model.record(inputs)
    assert torch.allclose(rates, spikes.mean(1), atol=1e-15)
    by_hand = sum((spikes[i, :, j].mean().item() - 0.01) ** 2 for i in range(len(inputs)) for j in range(12))
    assert model.activity_loss(rates).item() == pytest.approx(by_hand)


def test_dropped_neurons_never_fire_and_their_weights_do_not_matter() -> None:
    model, inputs = network(), sequences()
    masks = model.dropout_masks(0.5, 5, generator(4))
    assert [tuple(mask.shape) for mask in masks] == [(1, 12)] and masks[0].dtype == torch.double
    dropped = masks[0][0] == 0
    assert 0 < dropped.sum() < 12
    spikes, _, _ = model.record(inputs, masks)
    assert not spikes[:, :, dropped].any() and spikes.any()
    logits = model(inputs, masks)
    assert not torch.allclose(logits, model(inputs))
    with torch.no_grad():
        for weight in (model.W_rec, model.W_out):
            weight[dropped] += 100
    assert torch.equal(logits, model(inputs, masks))


def test_no_dropout_draws_nothing_and_an_impossible_one_is_refused() -> None:
    stream = generator(0)
    before = stream.get_state()
    assert network().dropout_masks(0.0, 4, stream) is None
    assert torch.equal(before, stream.get_state())
    for prob, kind in [(1.0, "shared"), (0.3, "standard")]:
        with pytest.raises(ValueError, match="dropout"):
            network().dropout_masks(prob, 4, stream, kind)


def test_images_are_refused_by_their_shape() -> None:
    with pytest.raises(ValueError, match=r"samples \(1, 8, 8\).*want \(time, channels\)"):
        LSNN((1, 8, 8), 10)
