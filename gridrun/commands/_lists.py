"""Fault lists that a command is given: one error for all bad rows, and notes on what is odd."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..faults.fault_list import FaultList
    from ..faults.weight_fault import Shapes

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


def check_folder(output: Path | None) -> None:
    """Before anything is computed: is there a folder for the file?"""
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {output.absolute().parent} for {output.name}")
