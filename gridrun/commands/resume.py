"""gridrun resume: go on with what was submitted, whatever happened to it."""

from __future__ import annotations

import click

from ._records import store_of
from ._submissions import count_line, lines_of, named, tell_failed

EPILOG = """\b
Examples:
  gridrun resume               everything that was submitted and is not finished
  gridrun resume 3f2a91        one submission; the first digits are enough
  gridrun resume --wait        and stay until it is done

Tasks whose job died are sent again: with more memory or time if that was it. A submission whose submitter was killed
is found by the names of its jobs, or submitted now; never both. Points that are done are never computed again.
"""


@click.command("resume", short_help="Send again what died, find what was lost.", epilog=EPILOG)
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...")
@click.option("-wait", "--wait", "stay", is_flag=True, help="Stay until everything is done.")
@click.pass_context
def command(ctx: click.Context, tokens: tuple[str, ...], stay: bool) -> bool:
    """Look once at what was submitted: find lost jobs, send again what died, say what was done, and leave."""
    from ..dispatch.follow import Follower
    from ._following import follow

    submissions = named(store_of(ctx), tokens)
    if not submissions:
        click.echo("nothing to resume: every submission is finished")
        return True
    if stay:
        view = follow(submissions)
    else:
        view = Follower(submissions, retry=True, say=click.echo).settle()
        for line in lines_of(view):
            click.echo(line)
        click.echo(count_line(view.counts, view.eta_s))
    tell_failed(view)
    return not (view.problem or any(view.counts[state] for state in ("failed", "cancelled", "lost")))
