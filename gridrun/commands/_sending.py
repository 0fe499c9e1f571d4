"""Sending points to a cluster, in words: what would be sent, what was sent, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ._launch import Launch, in_words
from ._points import plural, some

if TYPE_CHECKING:
    from ..dispatch.submission import Submission
    from ..dispatch.submit import Draft

SHOWN_DIGITS = 6  # of a token, in a command to type


def tell_draft(plan: Draft, launch: Launch) -> None:
    """What would be sent: settings with who said them, sizes of tasks, and the scripts, byte for byte."""
    tell_queued(plan.queued)
    if not plan.n_points:
        click.echo("nothing to submit")
        return
    n_tasks = sum(array.n_tasks for array in plan.arrays)
    arrays = plural(len(plan.arrays), "array")
    click.echo(f"\nwould submit {plural(plan.n_points, 'point')} in {plural(n_tasks, 'task')} of {arrays}")
    click.echo(plan.note)
    for settings, n_points, n_tasks in plan.settings:
        click.echo(f"\n{plural(n_points, 'point')} in {plural(n_tasks, 'task')} with")
        for line in in_words(settings, launch.said_by.get(settings, {})):
            click.echo(f"  {line}")
    for name, script in plan.scripts():
        click.echo(f"\n----- {name}")
        click.echo(script, nl=False)
    click.echo("-----\nnothing was submitted")


def tell_queued(queued: Mapping[str, int]) -> None:
    """Points that another submission computes already."""
    for token, number in queued.items():
        follow = f"`gridrun wait {token[:SHOWN_DIGITS]}` follows it"
        click.echo(f"{plural(number, 'point')} sent before, in submission {token}: {follow}")


def tell_sent(plan: Draft, submission: Submission | None) -> None:
    """What was sent, as which jobs, and what to type next."""
    tell_queued(plan.queued)
    if submission is None:
        click.echo("nothing to submit" if plan.queued else "nothing to submit: every point is done")
        return
    sizes = {sent.number: len(sent.tasks) for sent in submission.arrays()}
    n_points = len(submission.rows)
    jobs = [f"{job} ({plural(sizes.get(number, 0), 'task')})" for number, job in jobs_of(submission).items()]
    click.echo(f"submitted {plural(n_points, 'point')} in {plural(sum(sizes.values()), 'task')}: {plan.note}")
    click.echo(f"submission {submission.token}, job {some(jobs)}")
    short = submission.token[:SHOWN_DIGITS]
    for what, why in (
        ("gridrun status", "how far it is"),
        (f"gridrun wait {short}", "follows it, and sends again what dies"),
        (f"gridrun logs {short}", "what failed tasks printed"),
        (f"gridrun cancel {short}", "calls it off"),
    ):
        click.echo(f"  {what:22} {why}")


def jobs_of(submission: Submission) -> dict[int, str]:
    """The scheduler's id of each array that was submitted."""
    return {e["array"]: str(e["job"]) for e in submission.events() if e["event"] == "submitted"}
