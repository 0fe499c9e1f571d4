"""One faulty weight, as a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]  # of each layer's weight, in the order of named_parameters()


@dataclass(frozen=True, order=True)
class WeightFault:
    """A fault in one stored weight.

    layer: the module's path, without ".weight" ("" is the model itself); index: of the weight, (out, in, kh, kw) in a
    convolution, (out, in) in a dense layer; bit: 0 is the least significant one; kind: one of `bits.KINDS`
    ("zero" strikes the whole word; "random" too, and `bit` then tells one draw from another); mask: several bits at
    once instead of `bit`, 0 for none.

    >>> WeightFault("conv1", (3, 0, 2, 1), 15)
    WeightFault(layer='conv1', index=(3, 0, 2, 1), bit=15, kind='flip', mask=0)
    """

    layer: str
    index: tuple[int, ...]
    bit: int
    kind: str = "flip"
    mask: int = 0

    def __str__(self) -> str:
        """For messages.

        >>> print(WeightFault("layer1.0.conv2", (0, 1, 2, 2), 30, "stuck1"))
        layer1.0.conv2 (0, 1, 2, 2) bit 30 stuck1
        """
        which = f"mask {self.mask:#x}" if self.mask else f"bit {self.bit}"
        return f"{self.layer} {self.index} {which} {self.kind}"


def problem(fault: WeightFault, shapes: Shapes | None = None, n_bits: int = 32) -> str:
    """What is wrong with a fault; empty if nothing is. Layers and indices are judged where `shapes` are given.

    >>> problem(WeightFault("fc", (2, 10), 40), {"fc": (10, 64)})
    'bit 40 is outside 0..31'
    >>> problem(WeightFault("fc", (2, 64), 4), {"fc": (10, 64)})
    'index (2, 64) is outside the shape (10, 64) of fc'
    """
    if not 0 <= fault.bit < n_bits:
        return f"bit {fault.bit} is outside 0..{n_bits - 1}"
    if not 0 <= fault.mask < 1 << n_bits:
        return f"mask {fault.mask:#x} has bits outside 0..{n_bits - 1}"
    if shapes is None:
        return ""
    if fault.layer not in shapes:
        return f"no layer {fault.layer!r}; {near(fault.layer, shapes)}"
    shape = tuple(shapes[fault.layer])
    if len(fault.index) != len(shape) or not all(0 <= i < n for i, n in zip(fault.index, shape)):
        return f"index {fault.index} is outside the shape {shape} of {fault.layer or 'the model'}"
    return ""


def near(name: str, known: Mapping[str, object]) -> str:
    """The way out of a typing error: a near name, or else the first names there are."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    first = ", ".join(list(known)[:5])
    return f"there are {len(known)}: {first}{', ...' if len(known) > 5 else ''}" if known else "there is none"
