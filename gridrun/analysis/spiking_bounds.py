"""What an LSNN's neurons can do while its weights lie in a box: which spikes are certain, which are possible.

A voltage is a sum over all that came before, so its bounds need no bounds of earlier voltages. With traces that decay
as voltages do,

    x~ <- rv x~ + (1 - rv) x        z~ <- rv z~ + (1 - rv) z        f <- rv f + z B dt
    V = x~ W_in + z~ W_rec - f

is the V of `nn.spiking`. x~ is known; b, B, z~, f and r only grow when a spike is added; and each weight has one value
at all times. A spike is possible where the largest V is above the least B and r may be down, certain where the least V
is above the largest B and r must be down. As long as no spike is merely possible, the bounds of V are exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ..nn.lsnn import LSNN
from .boxes import Box, around, gamma, point, product


def rates(model: LSNN, inputs: Tensor, size: float, unit_roundoff: float) -> Box:
    """Spikes of each neuron per ms, the mean over time, (batch, n), for weights within `size`, relative, of the
    model's. inputs: (batch, time, channels).

    The decays rv and rb are the double precision numbers of `Neurons`.
    """
    total = point(inputs.new_zeros(()))
    for spikes in spike_bounds(model, inputs, size, unit_roundoff):
        total = total.plus(spikes)
    mean = total.times(1 / inputs.shape[1])
    return mean.widened(gamma(inputs.shape[1] + 4, unit_roundoff) * mean.high)


def spike_bounds(model: LSNN, inputs: Tensor, size: float, unit_roundoff: float) -> Iterator[Box]:
    """The least and the most that each neuron (batch, n) fires at each step: both 0, both 1 / dt, or apart."""
    c, (_, time, channels), n = model.neurons, inputs.shape, len(model.W_rec)
    rv, rb, dt = c.decay, c.decay_adaptation, c.dt
    w_in, w_rec = around(model.W_in.t(), size), around(model.recurrent().t(), size)
    slack = 2 * gamma(channels + n + 8 * time + 16, unit_roundoff)  # of sums over all times, see `boxes`
    slack_r = 8 * unit_roundoff * (c.refr * (1 + 1 / dt) + 1)
    x, x_size = (inputs.new_zeros(len(inputs), channels, dtype=torch.double) for _ in range(2))
    z = b = trace = fallen = r = point(inputs.new_zeros(len(inputs), n))
    for now in inputs.double().unbind(1):
        b = b.times(rb).plus(z.times(1 - rb))
        threshold = b.times(c.beta).map(lambda t: t + c.thr)
        x, x_size = rv * x + (1 - rv) * now, rv * x_size + (1 - rv) * now.abs()
        trace = trace.times(rv).plus(z.times(1 - rv))
        fallen = fallen.times(rv).plus(Box(*(z_ * b_ * dt for z_, b_ in zip(z, threshold, strict=True))))
        driven, _ = product(point(x), w_in, F.linear)
        recurrent, size_rec = product(trace, w_rec, F.linear)
        sizes = F.linear(x_size, w_in.magnitude()) + size_rec + fallen.high + threshold.high
        over = driven.plus(recurrent).plus(fallen.plus(threshold).times(-1)).widened(slack * sizes)  # V - B
        possible, certain = (over.high > 0) & (r.low <= 0.1), (over.low > 0) & (r.high <= 0.1)
        z = Box(certain.double() / dt, possible.double() / dt)
        r = r.plus(z.times(c.refr)).widened(slack_r).map(lambda t: (t - 1).clamp(0, c.refr))
        yield z
