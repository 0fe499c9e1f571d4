"""gridrun status: how far the experiments are, and what was submitted."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import GridrunError
from ..experiment import Wanted, load, overridden
from ..progress import duration
from ._conditions import wanted
from ._points import DONE, NOT_DONE, count
from ._records import store_of
from ._screen import FORMATS, show_rows, table_of
from ._settings import TAKES_SETTINGS, chosen, experiment_options, parse, study
from ._submissions import experiments_of, lines_of, named

if TYPE_CHECKING:
    from .. import PointState
    from ..dispatch.case import TaskView
    from ..dispatch.follow import Follower, View

EPILOG = """\b
Examples:
  gridrun status
  gridrun status -exp=mismatch_quickstart -seed=0
  gridrun status --tasks           what each task does; `gridrun logs TASK` prints its log
  gridrun status --live            again and again, until nothing is left to wait for
  gridrun status --format=json

pending: sent to a cluster; lost: sent, but nobody computes it (`gridrun resume` does); stale: its code changed.
Nothing is computed or submitted. `gridrun train -exp=NAME --dry-run` lists the points and says why they are stale.
"""
LINE_EVERY_S = 30.0
SHOWN_LIVE = 20  # tasks that are not done, in a table that is drawn in place


@click.command(
    "status",
    context_settings=TAKES_SETTINGS,
    short_help="Count the points that are done, pending, failed ...",
    epilog=EPILOG,
)
@experiment_options
@click.option("-tasks", "--tasks", is_flag=True, help="A line for each task of what was submitted.")
@click.option("-live", "--live", is_flag=True, help="Look again until nothing is left to wait for.")
@click.option("--format", "form", type=FORMATS, default="table", help="How to print it.")
@click.pass_context
def command(
    ctx: click.Context,
    exp: tuple[str, ...],
    where: tuple[str, ...],
    settings: tuple[str, ...],
    tasks: bool,
    live: bool,
    form: str,
) -> bool:
    """Count the points of each experiment that are done, running, pending, failed, stale and missing.

    Below it stands a line for each submission to a cluster that is not finished.
    """
    root, overrides = study(ctx), parse(settings, ("exp", "where", "tasks", "live", "format"))
    look = Look(root, chosen(root, exp), overrides, wanted(where))
    watched = follower_of(ctx, finished_too=tasks)
    if live and sys.stdout.isatty():
        watch(look, watched, tasks)
    elif live:
        tell_again_and_again(look, watched, tasks, form)
    else:
        tell(look, watched.look() if watched else None, tasks, form)
    return look.tell_broken()


def follower_of(ctx: click.Context, finished_too: bool = False) -> Follower | None:
    """A follower of what is not finished (with `finished_too`, else of the newest submission).

    None where nothing was submitted, so that nobody asks a scheduler.
    """
    store = store_of(ctx)
    if not (store.path / "jobs").is_dir():
        return None
    from ..dispatch.follow import Follower
    from ..dispatch.queue import is_copy
    from ..dispatch.submission import submissions

    listed = named(store, ())
    if finished_too and not listed:
        listed = [each for each in submissions(store.path) if not each.damage and not is_copy(each, store)][:1]
    return Follower(listed, retry=False) if listed else None


@dataclass
class Look:
    """Experiments whose points are counted; `broken` keeps what a page raised."""

    root: Path
    names: Sequence[str]
    overrides: Mapping[str, Any]
    wanted: Wanted = ()
    broken: dict[str, Exception] = field(default_factory=dict)

    def rows(self, view: View | None) -> list[dict[str, Any]]:
        """A row of counts per experiment that can be read."""
        import gridrun

        self.broken.clear()
        found: list[dict[str, Any]] = []
        lost = lost_ids(view)
        for name in self.names:
            try:
                with overridden(load(self.root, name), self.overrides, self.wanted) as experiment:
                    grid = experiment.train_grid()
                states = gridrun.explain(grid, "train")("{*}")
            except Exception as error:  # noqa: BLE001 - one broken page does not hide the others
                self.broken[name] = error
                continue
            found.append({"experiment": name, "points": len(grid), **counts(states, lost)})
        return with_time_left(found, view) if view is not None else found

    def tell_broken(self) -> bool:
        """Name the pages that cannot be read; True if there are none."""
        for name, problem in self.broken.items():
            if not isinstance(problem, GridrunError):
                traceback.print_exception(type(problem), problem, problem.__traceback__)
            click.echo(f"{name}: {type(problem).__name__}: {problem}", err=True)
        return not self.broken


def lost_ids(view: View | None) -> set[str]:
    """Points that were sent, and that nobody computes."""
    if view is None or not view.counts["lost"]:
        return set()
    return {point.id for point in view.points() if point.state == "lost"}


def counts(states: Sequence[PointState], lost: set[str]) -> dict[str, int]:
    """How many points are in which state; lost ones only where there are some."""
    n_lost = sum(state.state == "pending" and state.id in lost for state in states)
    found = count(states)
    found["pending"] = found.get("pending", 0) - n_lost
    row = {"done": sum(found.get(state, 0) for state in DONE), **{state: found.get(state, 0) for state in NOT_DONE}}
    return {**row, "lost": n_lost} if n_lost else row


def with_time_left(rows: list[dict[str, Any]], view: View) -> list[dict[str, Any]]:
    """Rows with the time that is left, for experiments that wait for a cluster."""
    if view.eta_s is None:
        return rows
    waiting = {name for case in view.cases for name in experiments_of(case.submission).split(", ")}
    left = duration(view.eta_s)
    return [{**row, "left": left if row["experiment"] in waiting and row["pending"] else ""} for row in rows]


# ------------------------------------------------------------------------------------------------------ on the screen
def tell(look: Look, view: View | None, tasks: bool, form: str) -> None:
    """One look: experiments, submissions, and tasks if they were asked for (alone, where the form is no table)."""
    if tasks and form != "table":
        show_rows([{**row, "log": str(task.log or "")} for row, task in zip(task_rows(view), tasks_of(view))], form)
        return
    show_rows(look.rows(view), form)
    if form != "table" or view is None:
        return
    if tasks:
        show_rows(task_rows(view))
    for line in lines_of(view):
        click.echo(line)
    if view.counts["lost"]:
        click.echo("lost points: `gridrun resume` finds their jobs or sends them again")


def tasks_of(view: View | None) -> list[TaskView]:
    return view.tasks if view is not None else []


def task_rows(view: View | None) -> list[dict[str, Any]]:
    """A row per task of what was submitted and is not finished."""
    return [
        {
            "submission": task.token[:6],
            "task": task.task_id or f"{task.array}:{task.index}",
            "state": task.state,
            "done": f"{task.n_done}/{task.n_points}",
            "failed": task.n_failed or None,
            "detail": task.detail.partition("\n")[0],
        }
        for task in tasks_of(view)
    ]


def tell_again_and_again(look: Look, follower: Follower | None, tasks: bool, form: str) -> None:
    """Where the output is no terminal: when something changed, and not more often than every LINE_EVERY_S."""
    before, shown = None, -LINE_EVERY_S
    while True:
        view = follower.look() if follower else None
        over = view is None or view.finished
        now = time.monotonic()
        if view is None or view.counts != before and (over or now - shown >= LINE_EVERY_S):
            before, shown = view.counts if view is not None else None, now
            tell(look, view, tasks, form)
        if over or follower is None:
            return
        time.sleep(follower.pause_s)


def watch(look: Look, follower: Follower | None, tasks: bool) -> None:
    """On a terminal: the table in place, drawn anew."""
    from rich.live import Live

    with Live(refresh_per_second=4) as live:
        while True:
            view = follower.look() if follower else None
            live.update(drawn(look.rows(view), view, tasks), refresh=True)
            if follower is None or view is None or view.finished:
                return
            time.sleep(follower.pause_s)


def drawn(rows: list[dict[str, Any]], view: View | None, tasks: bool) -> Any:
    """Experiments, tasks if asked for, and submissions, for rich."""
    from rich.console import Group
    from rich.text import Text

    of_tasks = [row for row in task_rows(view) if row["state"] != "done"] if tasks else []
    tables = [table_of(each) for each in (rows, of_tasks[:SHOWN_LIVE]) if each]
    more = [f"  ... and {len(of_tasks) - SHOWN_LIVE} more tasks"] if len(of_tasks) > SHOWN_LIVE else []
    return Group(*tables, *map(Text.from_ansi, [*more, *(lines_of(view) if view is not None else [])]))
