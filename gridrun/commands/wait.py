"""gridrun wait: stay until what was submitted is done."""

from __future__ import annotations

import click

from ._records import store_of
from ._submissions import named, tell_failed

EPILOG = """\b
Examples:
  gridrun wait                 everything that was submitted and is not finished
  gridrun wait 3f2a91          one submission; the first digits are enough
  gridrun wait && python make_figures.py

What dies meanwhile is sent again, as `gridrun resume` does. Ctrl-C leaves the jobs alone.
The exit status is 0 only if every point is done.
"""


@click.command("wait", short_help="Stay until what was submitted is done.", epilog=EPILOG)
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...")
@click.pass_context
def command(ctx: click.Context, tokens: tuple[str, ...]) -> bool:
    """Follow submissions until nothing of them is left to do, and name the points that failed for good."""
    from ._following import follow

    submissions = named(store_of(ctx), tokens)
    if not submissions:
        click.echo("nothing is waiting: every submission is finished")
        return True
    view = follow(submissions)
    tell_failed(view)
    return view.counts["done"] == sum(view.counts.values())
