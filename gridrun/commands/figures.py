"""gridrun figures: draw what is computed."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..dispatch.local import n_cores
from ..errors import GridrunError, NotComputed
from ..experiment import Wanted, load, overridden
from ..runner import defaults
from ._conditions import wanted
from ._points import plural
from ._settings import TAKES_SETTINGS, chosen, experiment_options, parse, study

OPTIONS = ("exp", "where", "n_threads", "mode")
EPILOG = """\b
Examples:
  python make_figures.py                               every experiment
  python make_figures.py -exp=mismatch_quickstart
  python make_figures.py -exp=a -n_epochs=1            the points that train.py -n_epochs=1 computed
  python make_figures.py -exp=a --where seed=0         these points only
  python make_figures.py -exp=a -mode=slurm            what a figure still has to evaluate goes to a cluster

An experiment that fails does not stop the others; the exit status is 0 only if all were drawn.
"""


@click.command("figures", context_settings=TAKES_SETTINGS, short_help="Draw what is computed.", epilog=EPILOG)
@experiment_options
@click.option(
    "-n_threads",
    "--n_threads",
    type=click.IntRange(1),
    metavar="N",
    help="Points evaluated side by side (one a core by default).",
)
@click.option("-mode", "--mode", metavar="PROFILE", help="Where to evaluate: a profile of launch/; here by default.")
@click.pass_context
def command(
    ctx: click.Context,
    exp: tuple[str, ...],
    where: tuple[str, ...],
    settings: tuple[str, ...],
    n_threads: int | None,
    mode: str | None,
) -> bool:
    """Draw the experiments' figures from what is stored.

    What a figure evaluates by itself and is not stored yet is computed first. Any -KEY=VALUE sets that key on every
    point of train_grid(), as for train.
    """
    os.environ.setdefault("MPLBACKEND", "agg")  # figures go to files, no window opens
    overrides = parse(settings, OPTIONS)
    root = study(ctx)
    named = chosen(root, exp)
    failed = {}
    for name in named:
        before = times(root / "figures")
        with defaults(**evaluation(n_threads, mode)):
            error = draw(root, name, overrides, wanted(where))
        if error is not None:
            failed[name] = error
        for path, changed in times(root / "figures").items():
            if before.get(path) != changed:
                click.echo(f"{name}: drew {path.relative_to(root)}")
    if failed:
        click.echo(f"{len(failed)} of {plural(len(named), 'experiment')} failed:", err=True)
        for name, error in failed.items():
            click.echo(f"  {name}: {type(error).__name__}: {error}", err=True)
            if isinstance(error, NotComputed):
                chosen_points = [f"--where {text}" for text in where]
                line = " ".join([f"-exp={name}", *chosen_points, *settings])
                click.echo(f"    python train.py {line}  computes them", err=True)
    return not failed


def evaluation(n_threads: int | None, mode: str | None) -> dict[str, Any]:
    """How the runs of a page are computed: on a cluster, or here in a process a core.

    >>> evaluation(3, None), evaluation(None, "slurm")
    ({'n_threads': 3, 'backend': 'processes', 'mode': None}, {'n_threads': 1, 'backend': 'processes', 'mode': 'slurm'})
    """
    n_workers = n_threads or (1 if mode else n_cores())
    return {"n_threads": n_workers, "backend": "processes", "mode": mode}


def draw(root: Path, name: str, overrides: Mapping[str, Any], chosen_points: Wanted = ()) -> Exception | None:
    """Draw one experiment; the error that it raised, after printing the traceback of one that is not ours."""
    try:
        with overridden(load(root, name), overrides, chosen_points) as experiment:
            experiment.visualize()
    except Exception as error:  # noqa: BLE001 - reported by name when the others are drawn
        if not isinstance(error, GridrunError):
            traceback.print_exception(type(error), error, error.__traceback__)
        return error
    return None


def times(folder: Path) -> dict[Path, int]:
    """When each file of a folder was last written, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}
