"""Post-training quantisation: every parameter that noise would move rounded to a word of a few bits.

Symmetric about zero and uniform: a word of b bits is a whole number from -(2^(b-1) - 1) to 2^(b-1) - 1, times a step
such that the largest magnitude is the largest word (Krishnamoorthi 2018, arXiv:1806.08342, section 2.2, with the range
restricted as it is for weights: the one word that has no opposite is not used). Zero stays zero. At 8 bits and a step a
channel this is what `bits.stored(values, "int8")` reads as.

>>> quantized(torch.tensor([0.3, -0.8, 1.2]), 3).tolist()  # words of -3 to 3, a step of 0.4
[0.4000000059604645, -0.800000011920929, 1.2000000476837158]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..training.evaluation import accuracy, judging, logits_at, perturbed_of

FEWEST, MOST = 2, 24  # one bit has no word but zero; float32 holds whole numbers of 24 bits


def largest_word(bits: int) -> int:
    """2^(bits - 1) - 1.

    >>> largest_word(8), largest_word(2)
    (127, 1)
    >>> largest_word(1)
    Traceback (most recent call last):
    ValueError: bits=1: want a whole number from 2 to 24
    """
    if isinstance(bits, bool) or bits not in range(FEWEST, MOST + 1):
        raise ValueError(f"bits={bits!r}: want a whole number from {FEWEST} to {MOST}")
    return 2 ** (int(bits) - 1) - 1


def step_size(values: Tensor, bits: int, per_channel: bool = False) -> Tensor:
    """The step of the words: the largest magnitude over the largest word, double precision.

    One for all values, or (`per_channel`) one for each entry of dimension 0, shaped to multiply with `values`. Fewer
    than two dimensions share one. ValueError for NaN or infinity among the values.

    >>> (step_size(torch.tensor([[1.0, -3.0], [0.0, 0.0]]), 3, per_channel=True) * 3).tolist()
    [[3.0], [0.0]]
    """
    if not torch.isfinite(values).all():
        raise ValueError("only finite values are quantised, and these have NaN or infinity among them")
    magnitude = values.detach().double().abs()
    if per_channel and values.dim() > 1:
        return magnitude.amax(tuple(range(1, values.dim())), keepdim=True) / largest_word(bits)
    return (magnitude.max() if values.numel() else magnitude.sum()) / largest_word(bits)


def quantized(values: Tensor, bits: int, per_channel: bool = False) -> Tensor:
    """What `values` read as once stored in words of `bits` bits; shape and dtype as `values`.

    Rounded to the nearest word, ties to the even one. See `step_size` for `per_channel`.
    """
    step = step_size(values, bits, per_channel)
    words = torch.where(step > 0, values.detach().double() / step, 0.0).round()
    return (words * step).to(values.dtype)


@judging
def quantized_accuracy(model: nn.Module, images: Tensor, labels: Tensor, bits: int, per_channel: bool = False) -> float:
    """Accuracy in 0..1 with every parameter quantised, each tensor by its own step (or steps, `per_channel`).

    Biases are quantised too; parameters that the network names in `spared`, and its activations, keep all their bits.
    Dimension 0 is the output channel of a convolution or dense layer; of an LSNN's matrices it is what goes in.
    """
    theta = {name: quantized(tensor, bits, per_channel) for name, tensor in perturbed_of(model).items()}
    return accuracy(logits_at(model, theta, images), labels)
