"""Putting faults into the weights of a network, and giving the exact bits back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..training.seeding import generator
from .bits import checked_format, faulty, int8_scale, stored
from .weight_fault import WeightFault, near, problem

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


@contextmanager
def injected(model: nn.Module, fault: WeightFault | Sequence[WeightFault], fmt: str = "fp32") -> Iterator[nn.Module]:
    """The model with a fault, or several, in its weights; it gets its exact old bits back, also when the block raises.

    Each weight is set through the module's path and read back through the name of the parameter, so a fault that
    landed elsewhere, or in a copy, is a RuntimeError. Where several layers share one weight (tied parameters), the
    fault is in all of them, as it would be in memory.

    fmt: what weights are stored as. In fp16, bf16 or int8 only the faulty weight is rounded: give a model whose
    weights are `stored_as` that format, so that nothing but the fault differs. Several faults in one weight act
    one after the other.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> _ = nn.init.ones_(model.weight)
    >>> with injected(model, WeightFault("", (0, 1), 31)) as struck:
    ...     struck(torch.tensor([5.0, 2.0])).item()
    3.0
    >>> model(torch.tensor([5.0, 2.0])).item()
    7.0
    """
    faults = [fault] if isinstance(fault, WeightFault) else list(fault)
    struck = {f.layer: weight_of(model, f.layer) for f in faults}
    scales = {layer: int8_scale(weight) if fmt == "int8" else None for layer, weight in struck.items()}
    undo: list[tuple[WeightFault, Tensor]] = []
    try:
        for f in faults:
            checked(f, struck[f.layer], fmt)
            undo.append((f, _cell(struck[f.layer], f).clone()))
            word = _bits(faulty_weight(struck[f.layer], f, fmt, scales[f.layer]))
            _cell(struck[f.layer], f).copy_(word)
            _read_back(model, f, word)
        yield model
    finally:
        for f, word in reversed(undo):
            _cell(struck[f.layer], f).copy_(word)
    old = {(f.layer, f.index): (f, word) for f, word in reversed(undo)}
    for f, word in old.values():
        _read_back(model, f, word)


def faulty_weight(weight: Tensor, fault: WeightFault, fmt: str = "fp32", scale: Tensor | None = None) -> Tensor:
    """What a fault turns the weight at its index into; a tensor without dimensions, dtype as `weight`.

    weight: the layer's clean weight; scale: of int8 words, by default of this weight. A "random" value is drawn
    from a stream named by the fault, so equal faults are equal everywhere.
    """
    scale = int8_scale(weight) if fmt == "int8" and scale is None else scale
    here = None if scale is None else scale.expand_as(weight)[fault.index]
    draw = generator(fault.bit, "random value", fault.layer, *fault.index) if fault.kind == "random" else None
    value = weight.detach()[fault.index]
    return faulty(value, fault.bit, fault.kind, fmt, fault.mask or None, draw, here)


def is_no_op(model: nn.Module, fault: WeightFault, fmt: str = "fp32") -> bool:
    """Whether the word is the same with the fault: masked by proof, without inference.

    A stuck-at equal to the present bit, or the zero of a zero. In formats other than fp32 this holds for a model whose
    weights are `stored_as` that format.
    """
    weight = weight_of(model, fault.layer)
    checked(fault, weight, fmt)
    return bool((_bits(faulty_weight(weight, fault, fmt)) == _cell(weight, fault)).all())


@contextmanager
def stored_as(model: nn.Module, fmt: str) -> Iterator[nn.Module]:
    """The model with every weight of two or more dimensions rounded to a number format; its exact bits come back.

    Biases and the parameters of normalisation stay as they are.
    """
    weights = [p for p in model.parameters() if p.dim() > 1]
    old = [weight.detach().clone() for weight in weights]
    try:
        for weight in weights:
            weight.detach().copy_(stored(weight, fmt))
        yield model
    finally:
        for weight, before in zip(weights, old, strict=True):
            weight.detach().copy_(before)


def layer_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of each layer's weight: `.weight` with two or more dimensions, in the order of named_parameters().

    A weight that several layers share stands under its first name. Parameters of other names (the `in_proj_weight` of
    an attention layer) are left out.

    >>> layer_shapes(nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Linear(16, 10)))
    {'0': (16, 3, 3, 3), '2': (10, 16)}
    """
    found = {}
    for name, parameter in model.named_parameters():
        layer, _, last = name.rpartition(".")
        if last == "weight" and parameter.dim() > 1:
            found[layer] = tuple(parameter.shape)
    return found


def weight_of(model: nn.Module, layer: str) -> Tensor:
    """The weight of the module at a path; ValueError names the path and a near one."""
    try:
        weight = model.get_submodule(layer).weight
    except AttributeError:
        raise ValueError(f"no layer {layer!r} with a weight; {near(layer, layer_shapes(model))}") from None
    if not isinstance(weight, Tensor):
        raise ValueError(f"the weight of {layer!r} is a {type(weight).__name__}, not a tensor")
    return weight


def checked(fault: WeightFault, weight: Tensor, fmt: str = "fp32") -> WeightFault:
    """The fault, if this weight has its index and the format its bit; else a ValueError that names it."""
    wrong = problem(fault, {fault.layer: tuple(weight.shape)}, checked_format(fmt, weight.dtype).bits)
    if wrong:
        raise ValueError(f"{fault}: {wrong}")
    return fault


def _bits(values: Tensor) -> Tensor:
    """The same memory, read as integers."""
    return values.detach().view(INTEGERS[values.element_size()])


def _cell(weight: Tensor, fault: WeightFault) -> Tensor:
    return _bits(weight)[fault.index]


def _read_back(model: nn.Module, fault: WeightFault, word: Tensor) -> None:
    """By the parameter's name, a second way to the same place."""
    name = f"{fault.layer}.weight" if fault.layer else "weight"
    parameter = dict(model.named_parameters(remove_duplicate=False)).get(name)
    if parameter is None:
        raise RuntimeError(f"{fault}: the weight is no parameter of the model but computed, so no fault stays in it")
    if not torch.equal(_cell(parameter, fault), word):
        raise RuntimeError(f"{fault}: the bits read back are not those written")
