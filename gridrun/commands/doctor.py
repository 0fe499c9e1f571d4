"""gridrun doctor: is everything in order, and what is damaged."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .. import __version__
from ..dispatch.profile import load_profile, modes
from ..dispatch.settings import merged
from ..errors import GridrunError
from ..experiment import find_root, load, names
from ._points import plural
from ._records import store_of, within
from ._screen import show_rows
from .gc import in_bytes

if TYPE_CHECKING:
    from ..store import Store

EPILOG = """\b
Examples:
  gridrun doctor
  gridrun doctor && rsync -a sessions/ backup/

A damaged result is computed again by the next run that needs it; nothing else is lost.
The exit status is 0 only if there is no problem.
"""


class Finding(NamedTuple):
    """One line of the report: "ok" or "problem", what was looked at, what was found."""

    state: str
    what: str
    found: str


@click.command("doctor", short_help="Find damage, and what is not in order.", epilog=EPILOG)
@click.pass_context
def command(ctx: click.Context) -> bool:
    """Read every checksum of the store and check the study; say what is damaged, by name."""
    store = store_of(ctx)
    study = of_study(ctx.obj or Path.cwd())
    findings = [*packages(), *of_store(store), *damaged(store), *of_submissions(store), *study]
    show_rows([finding._asdict() for finding in findings])
    n_problems = sum(finding.state == "problem" for finding in findings)
    click.echo(f"{plural(n_problems, 'problem')} found" if n_problems else "everything is in order")
    return not n_problems


def packages() -> Iterator[Finding]:
    """Which versions are installed, and which of those that gridrun needs are not."""
    try:
        requirements = metadata.requires("gridrun") or []
    except metadata.PackageNotFoundError:
        yield Finding("ok", "packages", f"gridrun {__version__}, not installed but used from its source")
        return
    found = [f"gridrun {__version__}"]
    for requirement in requirements:
        if ";" in requirement:  # an extra, or for another Python
            continue
        name = re.split(r"[^\w.-]", requirement)[0]
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Finding("problem", "packages", f"{name} is not installed")
    yield Finding("ok", "packages", ", ".join(found))


def of_store(store: Store) -> Iterator[Finding]:
    """Where results go, whether they can, and who computes now."""
    if not store.path.exists():
        yield Finding("ok", "store", f"{store.path} is made by the first result")
        return
    states = [record.state for record in store.records()]
    n_failed = states.count("failed")
    counted = plural(len(states) - n_failed, "result") + (f" and {plural(n_failed, 'failure')}" if n_failed else "")
    free = shutil.disk_usage(store.path).free
    yield Finding("ok" if free > 1e9 else "problem", "disk", f"{in_bytes(free)} free")
    if os.access(store.path, os.W_OK):
        yield Finding("ok", "store", f"{store.path}: {counted}")
    else:
        yield Finding("problem", "store", f"{store.path}: {counted}; it cannot be written by you")
    for claim in store.live_claims():
        since = datetime.fromtimestamp(claim.since).isoformat(" ", "seconds")
        yield Finding("ok", "running", f"{plural(len(claim.keys), 'point')} by {claim.owner}, since {since}")


def damaged(store: Store) -> Iterator[Finding]:
    """Each file that is not what was written."""
    damage = verified(store)
    for each in damage:
        yield Finding("problem", "damage", f"{within(store, each.path)}: {each.what}")
    if not damage:
        yield Finding("ok", "checksums", "every file is what was written")


def verified(store: Store) -> Sequence[Any]:
    """What store.verify() finds; on a terminal, with the file that it reads."""
    if not sys.stderr.isatty():
        return store.verify()
    from rich.console import Console

    with Console(stderr=True).status("reading") as line:
        return store.verify(lambda path: line.update(f"reading {within(store, path)}"))


def of_study(start: Path) -> Iterator[Finding]:
    """Whether each experiment can be imported and each launch profile read."""
    try:
        root = find_root(start)
    except GridrunError:
        yield Finding("ok", "study", f"{start} is in no study")
        return
    for name in names(root):
        try:
            merged((f"launch_settings of experiments/{name}.py", load(root, name).launch_settings))
        except Exception as error:  # noqa: BLE001 - a page may raise anything; it is reported by name
            yield Finding("problem", "experiment", f"{name}: {type(error).__name__}: {error}")
        else:
            yield Finding("ok", "experiment", name)
    for mode in modes(root):
        try:
            yield Finding("ok", "profile", f"{mode}: {load_profile(root, mode).executor}")
        except GridrunError as error:
            yield Finding("problem", "profile", str(error))


def of_submissions(store: Store) -> Iterator[Finding]:
    """What was sent to a cluster and is not finished, and submissions that cannot be read."""
    from ..dispatch.queue import is_copy
    from ..dispatch.submission import Submission, jobs_folder

    folders = sorted(path.parent for path in jobs_folder(store.path).glob("*/manifest.json"))
    for submission in map(Submission, folders):
        try:
            n_points = len(submission.rows)
            mode = submission.manifest["mode"]
        except (GridrunError, OSError) as error:
            yield Finding("problem", "submission", f"{error}; its points can be sent again")
            continue
        if not submission.is_closed and not is_copy(submission, store):
            waiting = f"{submission.token}: {plural(n_points, 'point')} by {mode}, not finished"
            yield Finding("ok", "submission", waiting)
