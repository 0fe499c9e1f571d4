"""gridrun status: how far the experiments are."""

from __future__ import annotations

import traceback
from typing import Any

import click

from ..errors import GridrunError
from ..experiment import load, overridden
from ._points import DONE, NOT_DONE, count
from ._screen import FORMATS, show_rows
from ._settings import TAKES_SETTINGS, chosen, experiment_options, parse, study

EPILOG = """\b
Examples:
  gridrun status
  gridrun status -exp=mismatch_quickstart -seed=0
  gridrun status --format=json

Nothing is computed. `gridrun train -exp=NAME --dry-run` lists the points and says why they are stale.
"""


@click.command(
    "status",
    context_settings=TAKES_SETTINGS,
    short_help="Count the points that are done, failed, missing.",
    epilog=EPILOG,
)
@experiment_options
@click.option("--format", "form", type=FORMATS, default="table", help="How to print it.")
@click.pass_context
def command(ctx: click.Context, exp: tuple[str, ...], settings: tuple[str, ...], form: str) -> bool:
    """Count the points of each experiment that are done, running, failed, stale and missing."""
    import gridrun

    root, overrides = study(ctx), parse(settings, ("exp", "format"))
    rows: list[dict[str, Any]] = []
    broken: dict[str, Exception] = {}
    for name in chosen(root, exp):
        try:
            with overridden(load(root, name), overrides) as experiment:
                grid = experiment.train_grid()
            counts = count(gridrun.explain(grid, "train")("{*}"))
        except Exception as error:  # noqa: BLE001 - one broken page does not hide the others
            broken[name] = error
            continue
        row = {"experiment": name, "points": len(grid), "done": sum(counts.get(state, 0) for state in DONE)}
        rows.append({**row, **{state: counts.get(state, 0) for state in NOT_DONE}})
    show_rows(rows, form)
    for name, problem in broken.items():
        if not isinstance(problem, GridrunError):
            traceback.print_exception(type(problem), problem, problem.__traceback__)
        click.echo(f"{name}: {type(problem).__name__}: {problem}", err=True)
    return not broken
