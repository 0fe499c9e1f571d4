"""How far one long computation is: a bar on a terminal, a line now and then elsewhere, nothing where it is quick."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

import click

from ..progress import duration

PATIENCE_S = 1.0
LINE_EVERY_S = 10.0


class Bar:
    """`with Bar("ResNet20", 10_000, "images") as bar: bar.to(640)`: 640 of them are done.

    before: what was done before this run, so that it says nothing about the pace.
    """

    def __init__(self, name: str, total: int, unit: str, before: int = 0) -> None:
        self.name, self.total, self.unit, self.before = name, total, unit, before
        self.n = before
        self.begin = self.shown = time.monotonic()
        self.drawn: Any = None
        self.drawing = threading.Lock()
        self.alarm = threading.Timer(PATIENCE_S, self._show)  # where the first step takes long

    def __enter__(self) -> Bar:
        self.alarm.daemon = True
        self.alarm.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.alarm.cancel()
        self.alarm.join()
        if self.drawn is not None:
            self.drawn.stop()

    def to(self, n: int) -> None:
        """Show that `n` are done, if it is time."""
        self.n = n
        now = time.monotonic()
        if now - self.begin < PATIENCE_S:
            return
        if sys.stderr.isatty():
            self._show()
        elif now - self.shown >= LINE_EVERY_S or self.shown == self.begin:
            self.shown = now
            click.echo(line(self.name, n, self.total, self.unit, now - self.begin, self.before), err=True)

    def _show(self) -> None:
        if sys.stderr.isatty():
            with self.drawing:
                self._draw(self.n)
        else:
            click.echo(line(self.name, self.n, self.total, self.unit, 0.0, self.n), err=True)

    def _draw(self, n: int) -> None:
        if self.drawn is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeRemainingColumn(),
            )
            self.drawn = Progress(*columns, console=Console(stderr=True), transient=True)
            self.drawn.add_task(self.name, total=self.total or None)
            self.drawn.start()
        self.drawn.update(self.drawn.task_ids[0], completed=n)


def line(name: str, n: int, total: int, unit: str, seconds: float, before: int = 0) -> str:
    """How far, and how long still at this pace, `n - before` in `seconds`; a total of 0 is unknown.

    >>> line("ResNet20", 2500, 10_000, "images", 5.0), line("a.zip", 5, 0, "MB", 2.0)
    ('ResNet20: 2,500 of 10,000 images, about 15 s left', 'a.zip: 5 MB')
    >>> line("ResNet20", 2500, 10_000, "images", 5.0, before=2000)
    'ResNet20: 2,500 of 10,000 images, about 1 min 15 s left'
    """
    if not total:
        return f"{name}: {n:,} {unit}"
    left = f", about {duration(seconds / (n - before) * (total - n))} left" if n > before else ""
    return f"{name}: {n:,} of {total:,} {unit}{left}"
