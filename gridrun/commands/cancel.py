"""gridrun cancel: call off what was submitted."""

from __future__ import annotations

import click

from ..errors import UsageError
from ._points import plural, some
from ._records import store_of
from ._submissions import count_line, named
from ._targets import Target, resolve

EPILOG = """\b
Examples:
  gridrun cancel 3f2a91            a submission; the first digits are enough
  gridrun cancel 123_4 "124[7]"    tasks, as the scheduler names them
  gridrun cancel 9c41d2e0          a point, by the id that --dry-run, wait and query give it
  gridrun cancel --all             everything that was submitted
  gridrun cancel --all --pending   only what does not run yet

What is done stays done. What was cancelled is missing again: train.py computes or submits it anew.
"""


@click.command("cancel", short_help="Call off what was submitted.", epilog=EPILOG)
@click.argument("what", nargs=-1, metavar="[TOKEN|TASK|POINT]...")
@click.option("-all", "--all", "everything", is_flag=True, help="Everything that was submitted.")
@click.option("-pending", "--pending", is_flag=True, help="Only tasks that do not run yet.")
@click.option("-running", "--running", is_flag=True, help="Only tasks that run.")
@click.pass_context
def command(ctx: click.Context, what: tuple[str, ...], everything: bool, pending: bool, running: bool) -> bool:
    """Cancel submissions, tasks or points; nothing else is touched."""
    from ..dispatch.follow import Follower

    if bool(what) == everything:
        raise UsageError("name what to cancel (a submission, a task, a point), or say --all")
    if pending and running:
        raise UsageError("--pending and --running leave nothing out: give one of them, or none")
    store = store_of(ctx)
    targets = [resolve(store, each) for each in what]
    submissions = named(store, ())
    if not submissions:
        click.echo("nothing to cancel: every submission is finished")
        return True
    follower = Follower(submissions, retry=False)
    before = follower.look().counts["cancelled"]
    only = "pending" if pending else "running" if running else None
    cancelled = follower.cancel([target.id for target in targets] or None, only)
    view = follower.look()
    n_points = view.counts["cancelled"] - before
    if cancelled or n_points:
        click.echo(f"cancelled {plural(n_points, 'point')} of {plural(len(cancelled), 'task')}: {some(cancelled)}")
    else:
        click.echo(f"nothing to cancel: {_why(targets, only)}")
    click.echo(count_line(view.counts, view.eta_s))
    return True


def _why(targets: list[Target], only: str | None) -> str:
    tasks = f"no {only} task" if only else "nothing unfinished"
    return f"{tasks} of {', '.join(target.id for target in targets) or 'all that was submitted'}"
