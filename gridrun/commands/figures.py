"""gridrun figures: draw what is computed."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import GridrunError, NotComputed
from ..experiment import load, overridden
from ._points import plural
from ._settings import TAKES_SETTINGS, chosen, experiment_options, parse, study

EPILOG = """\b
Examples:
  python make_figures.py                               every experiment
  python make_figures.py -exp=mismatch_quickstart
  python make_figures.py -exp=a -n_epochs=1            the points that train.py -n_epochs=1 computed

An experiment that fails does not stop the others; the exit status is 0 only if all were drawn.
"""


@click.command("figures", context_settings=TAKES_SETTINGS, short_help="Draw what is computed.", epilog=EPILOG)
@experiment_options
@click.pass_context
def command(ctx: click.Context, exp: tuple[str, ...], settings: tuple[str, ...]) -> bool:
    """Draw the experiments' figures from what is stored.

    Any -KEY=VALUE sets that key on every point of train_grid(), as for train.
    """
    os.environ.setdefault("MPLBACKEND", "agg")  # figures go to files, no window opens
    overrides = parse(settings, ("exp",))
    root = study(ctx)
    wanted = chosen(root, exp)
    failed = {}
    for name in wanted:
        before = times(root / "figures")
        error = draw(root, name, overrides)
        if error is not None:
            failed[name] = error
        for path, changed in times(root / "figures").items():
            if before.get(path) != changed:
                click.echo(f"{name}: drew {path.relative_to(root)}")
    if failed:
        click.echo(f"{len(failed)} of {plural(len(wanted), 'experiment')} failed:", err=True)
        for name, error in failed.items():
            click.echo(f"  {name}: {type(error).__name__}: {error}", err=True)
            if isinstance(error, NotComputed):
                click.echo(f"    python train.py {' '.join([f'-exp={name}', *settings])}  computes them", err=True)
    return not failed


def draw(root: Path, name: str, overrides: Mapping[str, Any]) -> Exception | None:
    """Draw one experiment; the error that it raised, after printing the traceback of one that is not ours."""
    try:
        with overridden(load(root, name), overrides) as experiment:
            experiment.visualize()
    except Exception as error:  # noqa: BLE001 - reported by name when the others are drawn
        if not isinstance(error, GridrunError):
            traceback.print_exception(type(error), error, error.__traceback__)
        return error
    return None


def times(folder: Path) -> dict[Path, int]:
    """When each file of a folder was last written, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}
