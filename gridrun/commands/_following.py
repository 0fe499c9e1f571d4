"""Following submissions on the screen: bars on a terminal; elsewhere a line an event, and now and then the counts."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..progress import duration
from ._screen import COLOURS
from ._submissions import STATES, count_line, counts_by_token, experiments_of

if TYPE_CHECKING:
    from ..dispatch.follow import View
    from ..dispatch.submission import Submission

LINE_EVERY_S = 30.0


def follow(submissions: Sequence[Submission]) -> View:
    """Look at submissions until nothing of them is left to do; what died is sent again.

    Ctrl-C leaves the jobs alone.
    """
    from ..dispatch.follow import Follower

    screen = Bars() if sys.stdout.isatty() else Lines()
    follower = Follower(submissions, retry=True, say=screen.say)
    try:
        with screen:
            while True:
                view = follower.look()
                screen.show(view, view.finished)
                if view.finished:
                    return view
                time.sleep(follower.pause_s)
    except KeyboardInterrupt:
        click.echo("left: the jobs go on. `gridrun wait` follows them again, `gridrun cancel` calls them off", err=True)
        raise


class Lines:
    """For logs and pipes."""

    def __init__(self) -> None:
        self.shown = -LINE_EVERY_S
        self.before = ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def say(self, line: str) -> None:
        click.echo(line)

    def show(self, view: View, last: bool) -> None:
        """The counts, if they changed, and not more often than every LINE_EVERY_S."""
        line, now = count_line(view.counts, view.eta_s), time.monotonic()
        line += f" ({view.problem})" if view.problem else ""
        if line != self.before and (last or now - self.shown >= LINE_EVERY_S):
            self.before, self.shown = line, now
            click.echo(line)


class Bars:
    """For a terminal: a bar per submission at the bottom, what happens above it."""

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = console or Console(highlight=False)
        self.live = Live(console=self.console, refresh_per_second=4)

    def __enter__(self) -> Bars:
        self.live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.live.__exit__(*error)

    def say(self, line: str) -> None:
        self.console.print(f"[dim]{datetime.now():%H:%M:%S}[/dim]  {_escaped(line)}")

    def show(self, view: View, last: bool) -> None:
        self.live.update(drawn(view), refresh=True)


def drawn(view: View) -> Any:
    """A bar per submission, and under them what is wrong, for rich."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    counts = counts_by_token(view)
    for case in view.cases:
        sent, found = case.submission, counts[case.submission.token]
        total = sum(found.values())
        over = found["done"] + found["failed"] + found["cancelled"]
        bar = ProgressBar(total=max(total, 1), completed=over, width=30, complete_style="green")
        name, number = Text(sent.token[:6], style="bold"), f"{over} of {total}"
        table.add_row(name, experiments_of(sent), bar, number, worded(found))
    left = [Text(f"about {duration(view.eta_s)} left", style="dim")] if view.eta_s is not None else []
    problem = [Text(view.problem, style="red")] if view.problem else []
    return Group(table, *left, *problem)


def worded(counts: Mapping[str, int]) -> Any:
    """Counts in the colours of their states, for rich."""
    from rich.text import Text

    words = [Text(f"{counts[state]} {state}", style=COLOURS.get(state, "")) for state in STATES if counts[state]]
    return Text("  ").join(words)


def _escaped(line: str) -> str:
    from rich.markup import escape

    return escape(line)
