"""gridrun logs: what a task printed while it computed a point."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import click

from ..errors import MissingKey
from ._records import store_of
from ._submissions import near
from ._targets import Target, resolve

EPILOG = """\b
Examples:
  gridrun logs 9c41d2e0            the task that computes a point; the first digits of its id are enough
  gridrun logs 123_4               a task, as the scheduler names it (LSF: "123[5]")
  gridrun logs 3f2a91              the failed tasks of a submission
  gridrun logs 123_4 --follow      and what it prints from now on, until it ends
  gridrun logs 123_4 --lines=20    the end of it
  gridrun logs 9c41d2e0 --whole    the log of the whole task, with its other points

The log goes to standard output, its place to standard error (with several logs, above each).
"""
TAIL_OF_MANY = 20  # lines of each, where several logs are shown and nobody said how many
LOOK_S = 0.5
BEGINS = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d point ([0-9a-f]{8})  ")  # as the worker writes it


@click.command("logs", short_help="Print what a task printed.", epilog=EPILOG)
@click.argument("what", metavar="POINT|TASK|TOKEN")
@click.option("-lines", "--lines", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@click.option("-whole", "--whole", is_flag=True, help="Of a point: all that its task printed.")
@click.option("-follow", "--follow", is_flag=True, help="Go on printing until the task ends.")
@click.pass_context
def command(ctx: click.Context, what: str, lines: int | None, whole: bool, follow: bool) -> None:
    """Print the log of a point, a task, or of the failed tasks of a submission."""
    target = resolve(store_of(ctx), what)
    logs = target.logs()
    if not logs:
        raise MissingKey(target.why_no_log())
    if follow:
        newest = _wait_for(logs[-1], target.goes_on)
        _tell(newest)
        with open(newest, "rb") as file:
            for piece in following(file, lines, target.goes_on):
                click.echo(piece, nl=False)
        return
    there = [path for path in logs if path.exists()]
    if not there:
        raise MissingKey(f"{near(logs[-1])} is not there: the task has not started, or its file is still on its way")
    if target.kind == "point":
        print_point(there, target, lines, whole)
    else:
        for path in there:
            _tell(path, err=len(there) == 1)
            print_end(path, TAIL_OF_MANY if len(there) > 1 and lines is None else lines)


def print_point(logs: list[Path], target: Target, lines: int | None, whole: bool) -> None:
    """The newest of a point's logs: what was printed while it was computed, where that can be told, else all."""
    *earlier, newest = logs
    _tell(newest, err=True)
    start, end = (0, None) if whole or not target.alone else part_of(newest, target.id)
    if start == 0 and end is None:
        print_end(newest, lines)
    else:
        with open(newest, "rb") as file:
            file.seek(start)
            part = file.read() if end is None else file.read(end - start)
        kept = part.splitlines(keepends=True)
        click.echo(b"".join(kept if lines is None else kept[max(0, len(kept) - lines) :]), nl=False)
        click.echo("that was the part of this point; --whole prints all of the task's", err=True)
    if earlier:
        click.echo(f"earlier attempts: {' '.join(map(near, earlier))}", err=True)


def part_of(path: Path, id: str) -> tuple[int, int | None]:
    """Where what was printed for a point begins (the last time that it began), and where it ends (None: the end)."""
    start, end, here = 0, None, 0
    with open(path, "rb") as file:
        for line in file:
            if match := BEGINS.match(line):
                if id.startswith(match[1].decode()):
                    start, end = here, None
                elif start and end is None:
                    end = here
            here += len(line)
    return start, end


def print_end(path: Path, lines: int | None) -> None:
    """The last lines of a file, or all of it."""
    with open(path, "rb") as file:
        file.seek(start_of_tail(file, lines))
        for piece in iter(lambda: file.read(1 << 20), b""):
            click.echo(piece, nl=False)


def _tell(path: Path, err: bool = True) -> None:
    click.echo(click.style(f"==> {near(path)}", bold=True), err=err)


def _wait_for(path: Path, goes_on: Callable[[], bool]) -> Path:
    while not path.exists():
        if not goes_on():
            raise MissingKey(f"{near(path)} is not there, and its task has ended")
        time.sleep(LOOK_S)
    return path


def start_of_tail(file: BinaryIO, lines: int | None) -> int:
    """Where the last `lines` lines of a file begin; 0 for all of it.

    >>> import io
    >>> start_of_tail(io.BytesIO(b"one\\ntwo\\nthree\\n"), 2)
    4
    """
    if lines is None:
        return 0
    end = position = file.seek(0, 2)
    found = b""
    while position and found.count(b"\n") <= lines:
        step = min(1 << 16, position)
        position -= step
        file.seek(position)
        found = file.read(step) + found
    ends = found.endswith(b"\n")
    kept = found[: len(found) - ends].split(b"\n")[-lines:] if lines else []
    return end - (len(b"\n".join(kept)) + ends if kept else 0)


def following(file: BinaryIO, lines: int | None, goes_on: Callable[[], bool]) -> Iterator[bytes]:
    """What is in a file and what is written to it, until its writer has ended."""
    file.seek(start_of_tail(file, lines))
    last = False
    while True:
        while piece := file.read(1 << 16):
            yield piece
        if last:
            return
        last = not goes_on()  # once more after the end: it may have written between
        if not last:
            time.sleep(LOOK_S)
