"""Recurrent spiking neurons whose threshold adapts, with the gradient of a surrogate through all their time.

Bellec, Salaj, Subramoney, Legenstein, Maass, "Long short-term memory and learning-to-learn in networks of spiking
neurons" (NeurIPS 2018), in the form of Buechel, Faber and Muir's code (ICLR 2022). At each step of dt ms, with the
spikes z of the step before, the input current x and the recurrent weights W,

    b <- rb b + (1 - rb) z                          rb = exp(-dt / tau_adaptation)
    B  = thr + beta b
    V <- rv V + (1 - rv) (x + z W) - z B dt         rv = exp(-dt / tau)
    z <- [r <= .1] [V > B] / dt
    r <- clip(r + refr z - 1, 0, refr)

in this order. In the gradient a spike has dz/du = dampening_factor max(1 - |u|, 0), with u = (V - B) / B.

Two roads through time share these lines: `evolve`, step by step, for whoever needs no gradient (vmap takes it), and
`mean_spikes`, whose gradient is written by hand: it keeps three tensors a step, and takes about 60 % of the time that
torch's derivative of each line takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Neurons:
    """Constants of all neurons: times in ms, `refr` in steps, the rest without unit.

    >>> Neurons(tau=0)
    Traceback (most recent call last):
    ValueError: tau=0: want more than 0
    """

    dt: float = 1.0
    tau: float = 20.0
    tau_adaptation: float = 98.0
    thr: float = 0.01
    beta: float = 2.0
    refr: float = 2.0
    dampening_factor: float = 0.3

    def __post_init__(self) -> None:
        for name in ("dt", "tau", "tau_adaptation", "thr"):
            if not (value := getattr(self, name)) > 0:
                raise ValueError(f"{name}={value!r}: want more than 0")
        for name in ("beta", "refr", "dampening_factor"):
            if not (value := getattr(self, name)) >= 0:
                raise ValueError(f"{name}={value!r}: want 0 or more")

    @property
    def decay(self) -> float:
        """rv, what is left of a voltage after a step."""
        return math.exp(-self.dt / self.tau)

    @property
    def decay_adaptation(self) -> float:
        """rb, what is left of the adaptation after a step."""
        return math.exp(-self.dt / self.tau_adaptation)


class Step(NamedTuple):
    """All neurons (batch, n) after a step: V, B, V / B (0 where a neuron cannot fire), and z."""

    voltage: Tensor
    threshold: Tensor
    ratio: Tensor
    spikes: Tensor


def evolve(current: Tensor, recurrent: Tensor, neurons: Neurons, alive: Tensor | None = None) -> Iterator[Step]:
    """The network step by step, from rest, without a gradient that means anything.

    current: (time, batch, n). recurrent: (n, n), from the row's to the column's neuron. alive: 1 for each neuron that
    can fire, 0 for one that is silent, (1, n) or (batch, n).

    >>> one = torch.full((6, 1, 1), 0.5)  # 0.5 (1 - rv) = 0.024 a step
    >>> [step.spikes.item() for step in evolve(one, torch.zeros(1, 1), Neurons())]
    [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    rv, rb, dt = neurons.decay, neurons.decay_adaptation, neurons.dt
    scaled, thr = (1 - rv) * recurrent, current.new_tensor(neurons.thr)
    v = z = b = r = torch.zeros_like(current[0])
    for x in current.unbind():
        b = torch.lerp(b, z, 1 - rb)
        threshold = torch.add(thr, b, alpha=neurons.beta)
        v = torch.addmm(x, z, scaled, beta=1 - rv).add(v, alpha=rv).addcmul(z, threshold, value=-dt)
        ratio = v / threshold * (r <= 0.1)
        ratio = ratio if alive is None else ratio * alive
        z = (ratio > 1).to(v.dtype)  # a quotient is rounded above 1 just where V > B
        z = z if dt == 1 else z / dt
        r = torch.add(r, z, alpha=neurons.refr).sub(1).clamp(0, neurons.refr)
        yield Step(v, threshold, ratio, z)


def mean_spikes(current: Tensor, recurrent: Tensor, neurons: Neurons, alive: Tensor | None = None) -> Tensor:
    """Spikes of each neuron per ms, the mean over time, (batch, n); arguments as `evolve`'s.

    Differentiable once, by torch.autograd, in `current` and `recurrent`. Where no gradient is asked for it is the plain
    sum over `evolve`.
    """
    if torch.is_grad_enabled() and (current.requires_grad or recurrent.requires_grad):
        return _MeanSpikes.apply(current, recurrent, neurons, alive)
    total: Tensor | int = sum(step.spikes for step in evolve(current, recurrent, neurons, alive))
    return torch.as_tensor(total) / len(current)


class _MeanSpikes(torch.autograd.Function):
    """The mean over `evolve`, with its gradient by hand."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, recurrent: Tensor, neurons: Neurons, alive: Tensor | None) -> Tensor:
        ctx.neurons, ctx.steps = neurons, [step[1:] for step in evolve(current, recurrent, neurons, alive)]
        ctx.save_for_backward(recurrent)
        return torch.stack([z for _, _, z in ctx.steps]).mean(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (recurrent,) = ctx.saved_tensors
        return *_through_time(gradient / len(ctx.steps), ctx.steps, recurrent, ctx.neurons), None, None


def _through_time(
    gradient: Tensor, steps: Sequence[tuple[Tensor, Tensor, Tensor]], recurrent: Tensor, neurons: Neurons
) -> tuple[Tensor, Tensor]:
    """d loss / d current (time, batch, n) and d loss / d recurrent (n, n), from d loss / d z, the same at every step.

    steps: B, V / B and z of each. gz, gv, gb: derivatives in z, V and b of a step through all that comes after it.
    """
    rv, rb, dt, beta = neurons.decay, neurons.decay_adaptation, neurons.dt, neurons.beta
    back = ((1 - rv) * recurrent).t().contiguous()
    gz, gv, gb = gradient, torch.zeros_like(gradient), torch.zeros_like(gradient)
    g_current = gradient.new_empty(len(steps), *gradient.shape)
    g_recurrent = torch.zeros_like(recurrent)
    for t in range(len(steps) - 1, -1, -1):
        threshold, ratio, _ = steps[t]
        surrogate = torch.rsub(ratio, 2).minimum(ratio).clamp_(min=0).mul_(neurons.dampening_factor / dt)
        du = surrogate.mul_(gz).div_(threshold)  # d loss / d V by way of this step's spike
        gv = torch.add(du, gv, alpha=rv, out=g_current[t])
        gb = gb.mul_(rb).addcmul_(du, ratio, value=-beta)
        if t == 0:
            break
        z = steps[t - 1][2]
        gb.addcmul_(z, gv, value=-beta * dt)
        g_recurrent.addmm_(z.t(), gv)
        gz = torch.addmm(gradient, gv, back).addcmul_(threshold, gv, value=-dt).add_(gb, alpha=1 - rb)
    return g_current.mul_(1 - rv), g_recurrent.mul_(1 - rv)
