"""Fault lists that a command is given: one error for all bad rows, and notes on what is odd."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from ._points import plural, some

if TYPE_CHECKING:
    from torch import nn

    from ..faults.fault_list import FaultList
    from ..faults.weight_fault import Shapes, WeightFault

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def read(path: Path, shapes: Shapes | None = None, n_bits: int = 32) -> FaultList:
    """The list in a file, judged by the shapes of the layers and the bits of a word; what is odd about it as a note."""
    from ..faults import fault_list
    from ..tasks.settings import mendable

    with mendable(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fault_list.read(path, shapes, n_bits)
    for warning in caught:
        click.echo(f"note: {warning.message}", err=True)
    if not found.faults:
        raise UsageError(f"{path} has no faults, only a header")
    return found


def read_for(model: nn.Module, path: Path, n_bits: int = 32) -> FaultList:
    """The list in a file for a network; one under Keras's names is converted, with a note."""
    from ..faults.fault_list import layers_in
    from ..faults.injection import layer_shapes
    from ..faults.keras_list import from_tensorflow, is_tensorflow, keras_shapes

    shapes = layer_shapes(model)
    if not is_tensorflow(layers_in(path), shapes):
        return read(path, shapes, n_bits)
    refuse_grouped(model, str(path))
    found = read(path, keras_shapes(shapes), n_bits)
    click.echo(f"note: {path} has the layers of TensorFlow, conv2d, dense and so on: converted to PyTorch's", err=True)
    return found._replace(faults=from_tensorflow(found.faults, shapes))


def refuse_grouped(model: nn.Module, what: str) -> None:
    """Raise UsageError for a network that has no Keras twin with these names."""
    for path, module in model.named_modules():
        if getattr(module, "groups", 1) > 1:
            raise UsageError(f"{what}: {path} is a grouped convolution, which Keras names and orders otherwise")


def of_kind(found: FaultList, kind: str | None, chosen: range, path: Path) -> list[WeightFault]:
    """The chosen faults, all of one kind if that is not None. UsageError where two of them are then one."""
    from dataclasses import replace

    faults = [found.faults[n] if kind is None else replace(found.faults[n], kind=kind) for n in chosen]
    first: dict[WeightFault, int] = {}
    again = []
    for n, fault in zip(chosen, faults):
        if first.setdefault(fault, n) != n:
            again.append(f"line {found.lines[n]} is then line {found.lines[first[fault]]}")
    if again:
        raise UsageError(
            f"--kind={kind}: {plural(len(again), 'row')} of {path} would be injected twice: {some(again, 5)}; "
            "choose rows of one kind by --rows, or leave --kind out"
        )
    return faults


def results(path: Path, shapes: Shapes | None = None, n_bits: int = 32) -> FaultList:
    """The list in a file, with results. UsageError where it has none, or impossible ones."""
    found = read(path, shapes, n_bits)
    if found.counts is None:
        raise UsageError(f"{path} has no results: it lacks n_injections, masked, non_critical, critical")
    wrong = [
        f"line {line} has {counts.critical} critical of {plural(counts.n_injections, 'image')}"
        for line, counts in zip(found.lines, found.counts)
        if not 0 < counts.n_injections >= counts.critical
    ]
    if wrong:
        raise UsageError(f"{path} has {plural(len(wrong), 'row')} without a rate: {some(wrong)}")
    return found


def n_bits(fmt: str) -> int:
    """Of a word of this format."""
    from ..faults.bits import FORMATS

    return FORMATS[fmt].bits


def check_folder(output: Path | None) -> None:
    """Before anything is computed: is there a folder for the file?"""
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {output.absolute().parent} for {output.name}")
