"""gridrun train: compute what is missing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..dispatch.profile import load_profile
from ..errors import UsageError
from ..experiment import load, overridden
from ._conditions import wanted
from ._keys import tell_keys
from ._launch import Launch
from ._points import count, different_settings, in_words, is_done, value_of
from ._screen import ID_DIGITS, cell, coloured, show_rows
from ._sending import tell_draft, tell_sent
from ._settings import TAKES_SETTINGS, chosen, experiment_options, parse, study

if TYPE_CHECKING:
    from .. import PointState
    from ..dispatch.submission import Submission
    from ..dispatch.submit import Draft
    from ..grid import Grid

OPTIONS = ("exp", "where", "n_threads", "mode", "launch", "wait", "snapshot", "force", "dry-run", "all", "keys")
EPILOG = """\b
Examples:
  python train.py                                      every experiment
  python train.py -exp=mismatch_quickstart -n_threads=2
  python train.py -exp=a,b --dry-run                   what is cached, stale, failed or missing, and why
  python train.py -exp=a -n_epochs=1 -dataset=digits   these settings on every point
  python train.py -exp=a --where seed=0                these points only
  python train.py -exp=a -seed=0 -force                compute again; the older results are kept
  python train.py -exp=a -mode=slurm --dry-run         the scripts that would be submitted
  python train.py -exp=a -mode=slurm -launch=mem_gb=8,timeout_min=120
  python train.py -exp=a -mode=lsf --wait              stay, and send again what dies
  python train.py --keys cnn                           every setting of an architecture; --keys lists these

A setting is read as Python (0.1, [64, 10], None), or else as text.
The exit status is 0 only if every point is done, or was submitted where that was all that was asked for.
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
@click.option("-mode", "--mode", metavar="PROFILE", help="Where: a profile of launch/ (slurm, lsf); here by default.")
@click.option(
    "-launch",
    "--launch",
    "asked",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="What each task asks of the cluster: mem_gb, timeout_min, partition, chunk, extra.FLAG ...",
)
@click.option("-wait", "--wait", "stay", is_flag=True, help="Stay until all that was submitted is done.")
@click.option("-snapshot", "--snapshot", is_flag=True, help="Submit a copy of the code: you can go on editing yours.")
@click.option("-force", "--force", is_flag=True, help="Compute what is stored, too.")
@click.option("-dry_run", "--dry-run", "dry_run", is_flag=True, help="Say what would be computed, and stop.")
@click.option("-all", "--all", "all_points", is_flag=True, help="With --dry-run: list every point to compute.")
@click.option(
    "-keys",
    "--keys",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Print the keys of an architecture, their defaults and what they mean, or the architectures; and stop.",
)
@click.pass_context
def command(
    ctx: click.Context,
    exp: tuple[str, ...],
    where: tuple[str, ...],
    settings: tuple[str, ...],
    n_threads: int,
    mode: str | None,
    asked: tuple[str, ...],
    stay: bool,
    snapshot: bool,
    force: bool,
    dry_run: bool,
    all_points: bool,
    keys: str | None,
) -> bool:
    """Compute every point of the experiments' grids that is not stored yet.

    Any -KEY=VALUE sets that key on every point; the points must have it.
    """
    import gridrun

    if keys is not None:
        tell_keys(keys)
        return True
    root, overrides = study(ctx), parse(settings, OPTIONS)
    profile = load_profile(root, mode or "local")
    launch = Launch(profile, asked, n_threads)
    if profile.executor == "local" and (asked or snapshot):
        raise UsageError(f"-{'launch' if asked else 'snapshot'} is for a cluster; -mode={profile.name} computes here")
    grids: dict[str, Grid] = {}
    for name in chosen(root, exp):
        with overridden(load(root, name), overrides, wanted(where)) as experiment:
            grids[name] = launch.on(experiment.train_grid(), experiment)
    if dry_run:
        everything = [point for grid in grids.values() for point in grid]
        tell_plan(grids, gridrun.explain(everything, "train")("{*}"), limit=None if all_points else 10)
    if profile.executor != "local":
        return away(grids, launch, root, dry_run=dry_run, stay=stay, snapshot=snapshot, force=force)
    return dry_run or here(grids, n_threads, force)


def here(grids: dict[str, Grid], n_threads: int, force: bool) -> bool:
    """Compute on this machine, and tell what became of every point."""
    import gridrun

    everything = [point for grid in grids.values() for point in grid]
    options: dict[str, Any] = {"run_mode": "force" if force else "normal"}
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


def away(
    grids: dict[str, Grid], launch: Launch, root: Path, dry_run: bool, stay: bool, snapshot: bool, force: bool
) -> bool:
    """Send what is missing to a cluster, or say what would be sent; with `stay`, wait for it."""
    from ..dispatch.base import SchedulerDown
    from ..dispatch.submit import draft, send

    start = time.monotonic()
    plan = draft(
        [point for grid in grids.values() for point in grid],
        "train",
        profile=launch.profile,
        root=root,
        names={name: len(grid) for name, grid in grids.items()},
        command_line=launch.command_line,
        snapshot=snapshot,
        argv=sys.argv,
        force=force,
        n_workers=launch.n_threads,
    )("{*}")
    if dry_run:
        tell_draft(plan, launch)
        return True
    try:
        submission = send(plan)
    except SchedulerDown as error:
        raise SchedulerDown(
            f"{error}; the submission is kept: `gridrun resume` sends it, `gridrun cancel` drops it"
        ) from None
    tell_sent(plan, submission)
    return not stay or wait_for(plan, submission, grids, start)


def wait_for(plan: Draft, submission: Submission | None, grids: dict[str, Grid], start: float) -> bool:
    """Follow what was sent, now and before, and tell what became of every point."""
    import gridrun

    from ..dispatch.submission import find_submission
    from ._following import follow

    sent = [submission] if submission is not None else []
    if followed := sent + [find_submission(plan.store.path, token) for token in plan.queued]:
        follow(followed)
    states = gridrun.explain([point for grid in grids.values() for point in grid], "train")("{*}")
    tell_outcome(grids, states, time.monotonic() - start)
    return all(is_done(state) for state in states)


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
                **{key: value_of(point, key) for key in apart},
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
            settings = " ".join(f"{key}={cell(value_of(point, key), 40)}" for key in apart if key in point)
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
