"""What a fault does to a stored number: its word, a whole number of 8, 16 or 32 bits, with some bits changed.

Bit 0 is the least significant one. In fp32, bits 0 to 22 are the mantissa, 23 to 30 the exponent, 31 the sign
(IEEE 754). All is done on whole numbers, so no bit is lost, not even of a NaN.

>>> faulty(torch.tensor([1.0, -0.0]), 30).tolist()  # the top of the exponent
[inf, -2.0]
>>> faulty(torch.tensor([1.0, -2.0]), torch.tensor([31, 0])).tolist()  # a bit of its own for each
[-1.0, -2.000000238418579]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Format:
    """How a number is stored: the width of its word, the type whose bits these are, an integer type as wide."""

    bits: int
    stored: torch.dtype
    integer: torch.dtype

    @property
    def whole(self) -> int:
        """The mask of all bits."""
        return (1 << self.bits) - 1


FORMATS = {
    "fp32": Format(32, torch.float32, torch.int32),
    "fp16": Format(16, torch.float16, torch.int16),
    "bf16": Format(16, torch.bfloat16, torch.int16),
    "int8": Format(8, torch.int8, torch.int8),
}

Strike = Callable[[Tensor, "Tensor | int", "torch.Generator | None", Format], Tensor]

STRIKES: dict[str, Strike] = {
    "flip": lambda words, mask, generator, form: words ^ mask,
    "stuck0": lambda words, mask, generator, form: words & ~mask,
    "stuck1": lambda words, mask, generator, form: words | mask,
    "zero": lambda words, mask, generator, form: words & ~mask,
    "random": lambda words, mask, generator, form: (words & ~mask) | (_random(words, generator, form) & mask),
}
KINDS = tuple(STRIKES)
WHOLE_WORD = ("zero", "random")  # kinds that strike all bits, unless a mask says which


def faulty(
    values: Tensor,
    bits: Tensor | int,
    kind: str = "flip",
    fmt: str = "fp32",
    mask: Tensor | int | None = None,
    generator: torch.Generator | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """The values that the words of `values` read as once they are faulty; dtype and shape as `values`.

    values: floating point, any shape; what `fmt` cannot hold is rounded first, as storing it does.
    bits: 0 to the width of the word - 1, one for all or one for each value.
    kind: "flip", "stuck0", "stuck1", "zero" (the whole word), "random" (the whole word, every word as likely,
    drawn from `generator`, which it needs).
    fmt: "fp32", "fp16", "bf16" or "int8".
    mask: several bits at once, instead of `bits`; "zero" and "random" then strike these alone.
    scale: of int8 words (see `int8_scale`), where `values` is not the whole tensor.

    A stuck-at equal to the present bit changes nothing. ValueError for any value outside of these.

    >>> faulty(torch.tensor([0.5, 3.0]), 0, "zero").tolist()
    [0.0, 0.0]
    >>> faulty(torch.tensor(1.5), 0, mask=0x80400000).item()  # sign and top of the mantissa
    -1.0
    """
    form = checked_format(fmt, values.dtype)
    if kind not in STRIKES:
        raise ValueError(f"no kind of fault {kind!r}; there are {', '.join(KINDS)}")
    scale = int8_scale(values) if fmt == "int8" and scale is None else scale
    struck = STRIKES[kind](words_of(values, fmt, scale), _mask(bits, kind, mask, form), generator, form)
    return values_of(struck, fmt, values.dtype, scale)


def stored(values: Tensor, fmt: str = "fp32", scale: Tensor | None = None) -> Tensor:
    """What `values` read as once stored in a format: rounded to nearest, ties to even. Storing twice is storing once.

    >>> stored(torch.tensor([1.0, 0.1]), "bf16").tolist()
    [1.0, 0.10009765625]
    """
    checked_format(fmt, values.dtype)
    scale = int8_scale(values) if fmt == "int8" and scale is None else scale
    return values_of(words_of(values, fmt, scale), fmt, values.dtype, scale)


def int8_scale(values: Tensor) -> Tensor:
    """The step of int8 words, one for each output channel (dimension 0): the largest magnitude there / 127.

    A scale a channel, symmetric about zero, is how the weights of convolutions and dense layers are quantised
    (Krishnamoorthi 2018, arXiv:1806.08342); one scale a tensor would let a single large channel coarsen all
    others, and a fault's size would depend on channels that it does not touch. Fewer than two dimensions
    share one scale. Double precision, so that storing what is stored already finds the same scale. A channel of zeros
    has scale 0 and reads as zeros whatever its bits.

    >>> (int8_scale(torch.tensor([[1.0, -127.0], [0.0, 0.0]])) * 127).tolist()
    [[127.0], [0.0]]
    """
    if not torch.isfinite(values).all():
        raise ValueError("int8 holds finite values only, and these have NaN or infinity among them")
    magnitude = values.detach().double().abs()
    if values.dim() < 2:
        return magnitude.max() / 127 if values.numel() else magnitude.sum()
    return magnitude.amax(tuple(range(1, values.dim())), keepdim=True) / 127


def words_of(values: Tensor, fmt: str = "fp32", scale: Tensor | None = None) -> Tensor:
    """The word of each value as a number from 0 to 2**bits - 1, int64, shape as `values`.

    >>> [hex(word) for word in words_of(torch.tensor([1.0, -2.0])).tolist()]
    ['0x3f800000', '0xc0000000']
    """
    form = FORMATS[fmt]
    held = _steps(values, scale) if fmt == "int8" else values.detach().to(form.stored)
    return held.contiguous().view(form.integer).long() & form.whole


def values_of(words: Tensor, fmt: str, dtype: torch.dtype, scale: Tensor | None = None) -> Tensor:
    """What words 0 to 2**bits - 1 read as; the other way round of `words_of`."""
    form = FORMATS[fmt]
    signed = torch.where(words >> (form.bits - 1) > 0, words - (1 << form.bits), words)
    if fmt == "int8":
        return (signed.double() * scale).to(dtype)
    return signed.to(form.integer).view(form.stored).to(dtype)


def checked_format(fmt: str, dtype: torch.dtype) -> Format:
    """The entry of FORMATS; ValueError for an unknown name, or where values of `dtype` could not hold its words."""
    if fmt not in FORMATS:
        raise ValueError(f"no number format {fmt!r}; there are {', '.join(FORMATS)}")
    if not dtype.is_floating_point or torch.promote_types(dtype, FORMATS[fmt].stored) != dtype:
        raise ValueError(f"values of {dtype} cannot hold what {fmt} words read as: give float32")
    return FORMATS[fmt]


def tf32(values: Tensor) -> Tensor:
    """float32 values as TF32 multiplies them: 10 bits of mantissa instead of 23, rounded to nearest, ties away.

    A fault that leaves this unchanged is masked on such a device, without inference. NaN and infinity stay.

    >>> tf32(torch.tensor([1 + 2**-11, 1 + 2**-12])).tolist()
    [1.0009765625, 1.0]
    """
    words = values.contiguous().view(torch.int32)
    rounded = ((words + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)
    return torch.where(torch.isfinite(values), rounded, values)


def _steps(values: Tensor, scale: Tensor | None) -> Tensor:
    """int8 words as whole numbers of steps, -128 to 127."""
    if scale is None:
        raise ValueError("int8 words need a scale: see int8_scale")
    steps = torch.where(scale > 0, values.detach().double() / scale, 0.0)
    return steps.round().clamp(-128, 127).to(torch.int8)


def _mask(bits: Tensor | int, kind: str, mask: Tensor | int | None, form: Format) -> Tensor | int:
    """The bits to strike, as a number or one number a value."""
    if mask is not None:
        if _outside(mask, form.whole):
            raise ValueError(f"a mask outside 0..{form.whole:#x}, the {form.bits} bits of a word: {mask!r}")
        return mask.long() if isinstance(mask, Tensor) else mask
    if kind in WHOLE_WORD:
        return form.whole
    if _outside(bits, form.bits - 1):
        raise ValueError(f"a bit outside 0..{form.bits - 1}: {bits!r}")
    return torch.ones_like(bits, dtype=torch.long) << bits.long() if isinstance(bits, Tensor) else 1 << bits


def _outside(numbers: Tensor | int, highest: int) -> bool:
    if isinstance(numbers, Tensor):
        return bool(((numbers < 0) | (numbers > highest)).any())
    return not 0 <= numbers <= highest


def _random(words: Tensor, generator: torch.Generator | None, form: Format) -> Tensor:
    if generator is None:
        raise ValueError("a random value is drawn from a generator: give one")
    return torch.randint(form.whole + 1, words.shape, generator=generator).to(words.device)
