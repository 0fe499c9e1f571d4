"""gridrun train: compute what is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, nearest
from ..experiment import load, overridden
from ._points import count, different_settings, in_words, is_done
from ._screen import ID_DIGITS, cell, coloured, show_rows
from ._settings import TAKES_SETTINGS, chosen, experiment_options, parse, study

if TYPE_CHECKING:
    from .. import PointState
    from ..grid import Grid

OPTIONS = ("exp", "n_threads", "mode", "force", "dry-run", "all")
EPILOG = """\b
Examples:
  python train.py                                      every experiment
  python train.py -exp=mismatch_quickstart -n_threads=2
  python train.py -exp=a,b --dry-run                   what is cached, stale, failed or missing, and why
  python train.py -exp=a -n_epochs=1 -dataset=digits   these settings on every point
  python train.py -exp=a -seed=0 -force                compute again; the older results are kept

A setting is read as Python (0.1, [64, 10], None), or else as text.
The exit status is 0 only if every point is done.
"""


@click.command("train", context_settings=TAKES_SETTINGS, short_help="Compute what is missing.", epilog=EPILOG)
@experiment_options
@click.option(
    "-n_threads",
    "--n_threads",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Points side by side (1 by default).",
)
@click.option("-mode", "--mode", metavar="PROFILE", help="Where: a profile of launch/; here by default.")
@click.option("-force", "--force", is_flag=True, help="Compute what is stored, too.")
@click.option("-dry_run", "--dry-run", "dry_run", is_flag=True, help="Say what would be computed, and stop.")
@click.option("-all", "--all", "all_points", is_flag=True, help="With --dry-run: list every point to compute.")
@click.pass_context
def command(
    ctx: click.Context,
    exp: tuple[str, ...],
    settings: tuple[str, ...],
    n_threads: int,
    mode: str | None,
    force: bool,
    dry_run: bool,
    all_points: bool,
) -> bool:
    """Compute every point of the experiments' grids that is not stored yet.

    Any -KEY=VALUE sets that key on every point; the points must have it.
    """
    import gridrun

    overrides = parse(settings, OPTIONS)
    grids: dict[str, Grid] = {}
    root = study(ctx)
    check_profile(root, mode)
    for name in chosen(root, exp):
        with overridden(load(root, name), overrides) as experiment:
            grids[name] = experiment.train_grid()
    everything = [point for grid in grids.values() for point in grid]
    if dry_run:
        tell_plan(grids, gridrun.explain(everything, "train")("{*}"), limit=None if all_points else 10)
        return True
    options: dict[str, Any] = {"mode": mode, "run_mode": "force" if force else "normal"}
    if n_threads > 1:  # small networks spend their time in Python, where threads take turns
        options |= {"n_threads": n_threads, "backend": "processes"}
    start = time.monotonic()
    try:
        states = gridrun.ensure(everything, "train", on_error="store", **options)("{*}")
    except KeyboardInterrupt:
        states = gridrun.explain(everything, "train")("{*}")
        n_done = sum(is_done(state) for state in states)
        click.echo(f"interrupted: {n_done} of {len(states)} points are done and kept; start again to go on", err=True)
        raise
    tell_outcome(grids, states, time.monotonic() - start)
    return all(is_done(state) for state in states)


def check_profile(root: Path, mode: str | None) -> None:
    """Raise UsageError for a mode without a profile in the study's launch/; `local` needs none."""
    profiles = {"local", *(path.stem for path in root.glob("launch/*.toml"))}
    if mode is not None and mode not in profiles:
        raise UsageError(f"-mode={mode}: no such profile in {root / 'launch'}; {nearest(mode, profiles)}")


def tell_plan(grids: dict[str, Grid], states: Sequence[PointState], limit: int | None) -> None:
    """How many points are in which state, and those to compute with what sets them apart and why."""
    for name, grid, part in parts(grids, states):
        click.echo(in_words(name, count(part)))
        if all(map(is_done, part)):
            continue
        apart = different_settings(grid)
        rows = [
            {
                "state": state.state,
                "id": state.id[:ID_DIGITS],
                **{key: point.get(key) for key in apart},
                "why": state.detail,
            }
            for point, state in zip(grid, part)
            if not is_done(state)
        ]
        show_rows(rows[:limit])
        if limit is not None and len(rows) > limit:
            click.echo(f"... and {len(rows) - limit} more: --all lists them")


def tell_outcome(grids: dict[str, Grid], states: Sequence[PointState], seconds: float, limit: int = 20) -> None:
    """A line per experiment, and one for each of the first points that are not done."""
    for name, grid, part in parts(grids, states):
        click.echo(in_words(name, count(part), seconds))
        open_points = [(point, state) for point, state in zip(grid, part) if not is_done(state)]
        apart = different_settings(grid) if open_points else []
        for point, state in open_points[:limit]:
            settings = " ".join(f"{key}={cell(point.get(key), 40)}" for key in apart)
            words = [coloured(state.state), state.id[:ID_DIGITS], settings and f"{settings}:", state.detail]
            click.echo(f"  {' '.join(word for word in words if word)}", err=True)
        if len(open_points) > limit:
            click.echo(f"  ... and {len(open_points) - limit} more: --dry-run --all lists them", err=True)
    if any(state.state == "failed" for state in states):
        click.echo("`gridrun show ID` prints a traceback; the same command tries failed points again", err=True)


def parts(grids: dict[str, Grid], states: Sequence[PointState]) -> list[tuple[str, Grid, Sequence[PointState]]]:
    """Each experiment's name, grid and states."""
    found, start = [], 0
    for name, grid in grids.items():
        found.append((name, grid, states[start : start + len(grid)]))
        start += len(grid)
    return found
