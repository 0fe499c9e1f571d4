"""How far a run is: a bar on a terminal, a plain line now and then elsewhere, nothing in tests or when it is quick."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 1.0  # a run shorter than this shows nothing
LINE_EVERY_S = 30.0


class Progress:
    """Counts of points: done, cached, failed, waiting; and the time that is left.

    wanted: None is "not in tests"; a function is told (points finished, points in all) instead of anything being shown.
    """

    def __init__(self, name: str, total: int, cached: int, wanted: bool | None | Callable[[int, int], None]) -> None:
        self.name, self.total, self.cached = name, total, cached
        self.done = self.failed = self.running = 0
        self.waiting = ""
        self.started = self.shown = time.monotonic()
        quiet = "PYTEST_CURRENT_TEST" in os.environ
        self.tell = wanted if callable(wanted) else None
        self.wanted = not quiet if wanted is None else bool(wanted)
        self.bar: Any = None
        self.task: Any = None
        if self.tell:
            self.tell(cached, total)

    def update(self, done: int = 0, failed: int = 0, cached: int = 0, running: int = 0, waiting: str = "") -> None:
        """Add to the counts, and show them if it is time."""
        self.done += done
        self.failed += failed
        self.cached += cached
        self.running, self.waiting = running, waiting
        if self.tell:
            self.tell(self.cached + self.done + self.failed, self.total)
            return
        if not self.wanted:
            return
        now = time.monotonic()
        if now - self.started < PATIENCE_S:
            return
        if sys.stderr.isatty():
            self._draw()
        elif now - self.shown > LINE_EVERY_S:
            self.shown = now
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """One line of text.

        >>> Progress("train", 10, 4, False).line()
        'train: 4 of 10 (4 cached)'
        """
        parts = [f"{self.cached} cached"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.running} running"] if self.running else []
        parts += [self.waiting] if self.waiting else []
        left = self.eta_s()
        parts += [f"about {duration(left)} left"] if left is not None else []
        return f"{self.name}: {self.cached + self.done + self.failed} of {self.total} ({', '.join(parts)})"

    def eta_s(self) -> float | None:
        """Seconds left at the pace so far; None before anything is done."""
        finished = self.done + self.failed
        if not finished:
            return None
        return (time.monotonic() - self.started) / finished * (self.total - self.cached - finished)

    def _draw(self) -> None:
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
            )
            self.bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(self.name, total=self.total, note="")
            self.bar.start()
        notes = [f"[green]{self.cached} cached"] if self.cached else []
        notes += [f"[red]{self.failed} failed"] if self.failed else []
        notes += [f"[yellow]{self.waiting}"] if self.waiting else []
        self.bar.update(self.task, completed=self.cached + self.done + self.failed, note="  ".join(notes))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def duration(seconds: float) -> str:
    """A length of time as people say it.

    >>> duration(5.04), duration(75), duration(7300)
    ('5 s', '1 min 15 s', '2 h 2 min')
    """
    whole = int(round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60} min"
