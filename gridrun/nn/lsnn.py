"""The LSNN: one recurrent layer of spiking neurons with adaptive thresholds, read out by its mean activity.

Bellec and others (NeurIPS 2018), as Buechel, Faber and Muir (ICLR 2022) trained it on ECG and speech:

    logits = mean_t z_t W_out + b_out          z_t: the spikes of `spiking.evolve`, driven by inputs W_in

>>> ecg = LSNN((100, 2), 4)
>>> sum(p.numel() for p in ecg.parameters())
67076
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .spiking import Neurons, evolve, mean_spikes

TRUNCATED_STD = 0.87962566103423978  # of N(0, 1) cut off at +-2
TARGET_RATE = 0.01  # spikes per ms


class LSNN(nn.Module):
    """Sequences (batch, time, channels) to logits (batch, n_classes).

    Parameters, by the original's names: W_in (channels, n_hidden), W_rec (n_hidden, n_hidden), W_out (n_hidden,
    n_classes), b_out (n_classes,). No neuron drives itself: the diagonal of W_rec starts at 0, takes no part in the
    sums and has gradient 0, so neither training nor an attack nor noise changes what it does.
    """

    off_diagonal: Tensor

    def __init__(
        self,
        sample_shape: Sequence[int],
        n_classes: int,
        n_hidden: int = 256,
        neurons: Neurons | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(sample_shape) != 2 or n_hidden < 1:
            raise ValueError(f"samples {tuple(sample_shape)}, n_hidden={n_hidden!r}: want (time, channels), 1 or more")
        self.neurons = neurons if neurons is not None else Neurons()
        channels = sample_shape[1]
        self.W_in = nn.Parameter(torch.empty(channels, n_hidden))
        self.W_rec = nn.Parameter(torch.empty(n_hidden, n_hidden))
        self.W_out = nn.Parameter(torch.empty(n_hidden, n_classes))
        self.b_out = nn.Parameter(torch.zeros(n_classes))
        self.register_buffer("off_diagonal", 1 - torch.eye(n_hidden), persistent=False)
        initialise(self, generator if generator is not None else torch.Generator().manual_seed(0))

    def forward(
        self, inputs: Tensor, masks: Sequence[Tensor] | None = None, with_rates: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, or (logits, rates) if asked; neurons that `masks` (from `dropout_masks`) drop never fire."""
        logits, rates = self.forward_with_rates(inputs, masks)
        return (logits, rates) if with_rates else logits

    def forward_with_rates(self, inputs: Tensor, masks: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Logits, and the rate of each neuron in spikes per ms, (batch, n_hidden)."""
        alive = None if masks is None else masks[0]
        rates = mean_spikes(self.current(inputs), self.recurrent(), self.neurons, alive)
        return rates @ self.W_out + self.b_out, rates

    def current(self, inputs: Tensor) -> Tensor:
        """What drives the neurons, at all times at once: (time, batch, n_hidden)."""
        return inputs.transpose(0, 1) @ self.W_in

    def recurrent(self) -> Tensor:
        """W_rec without its diagonal."""
        return self.W_rec * self.off_diagonal

    @torch.no_grad()
    def record(self, inputs: Tensor, masks: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Spikes, voltages and thresholds of every neuron at every step, each (batch, time, n_hidden).

        >>> spikes, voltages, thresholds = LSNN((5, 2), 3, n_hidden=7).record(torch.ones(1, 5, 2))
        >>> tuple(spikes.shape), bool((spikes[voltages <= thresholds] == 0).all())
        ((1, 5, 7), True)
        """
        alive = None if masks is None else masks[0]
        steps = list(evolve(self.current(inputs), self.recurrent(), self.neurons, alive))
        traces = zip(*((step.spikes, step.voltage, step.threshold) for step in steps), strict=True)
        spikes, voltages, thresholds = (torch.stack(trace, 1) for trace in traces)
        return spikes, voltages, thresholds

    def activity_loss(self, rates: Tensor) -> Tensor:
        """sum (rate - 0.01)^2 over the neurons and the samples of the batch, rates (batch, n_hidden) in spikes per ms.

        So in the code of Buechel, Faber and Muir (github.com/jubueche/BPTT-Lipschitzness, loss_jax.py); the sum over
        the batch of 100 makes its weight of 0.001 count.

        >>> LSNN((5, 2), 3, n_hidden=2).activity_loss(torch.tensor([[0.0, 0.01], [0.04, 0.01]])).item()
        0.0009999999310821295
        """
        return (rates - TARGET_RATE).square().sum()

    def dropout_masks(
        self, prob: float, batch_size: int, generator: torch.Generator, kind: str = "shared"
    ) -> list[Tensor] | None:
        """One mask (1, n_hidden) for one forward pass, 0 for neurons that never fire; None for `prob` 0.

        It is shared by the batch, as in the original; a spike cannot be scaled up, so kind "standard" is refused.
        """
        if prob == 0:
            return None
        if kind != "shared" or not 0 < prob < 1:
            raise ValueError(f"dropout {prob!r} {kind!r} of spiking neurons: want 0 <= prob < 1 and 'shared'")
        kept = torch.rand(1, self.W_rec.shape[0], generator=generator) >= prob
        return [kept.to(self.W_rec)]


@torch.no_grad()
def initialise(model: LSNN, generator: torch.Generator) -> None:
    """Weights from normal distributions cut off at two standard deviations, drawn from `generator` alone: W_in of
    variance 2 / (channels + n_hidden), W_rec of 1 / n_hidden with a zero diagonal, W_out 0.01 times the cut N(0, 1);
    b_out is 0."""
    channels, n_hidden = model.W_in.shape
    scales = {
        model.W_in: math.sqrt(2 / (channels + n_hidden)) / TRUNCATED_STD,
        model.W_rec: math.sqrt(1 / n_hidden) / TRUNCATED_STD,
        model.W_out: 0.01,
    }
    for weight, scale in scales.items():
        nn.init.trunc_normal_(weight, 0, 1, -2, 2, generator=generator).mul_(scale)
    model.W_rec.fill_diagonal_(0)
