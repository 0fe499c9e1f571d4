"""Submissions for commands: which are meant, and what became of them, in words."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import GridrunError, UsageError
from ..progress import duration
from ._points import different_settings, plural, some
from ._records import last_part
from ._screen import ID_DIGITS, cell, coloured

if TYPE_CHECKING:
    from ..dispatch.case import Case, PointView
    from ..dispatch.follow import View
    from ..dispatch.submission import Submission
    from ..store import Store

STATES = ("done", "running", "pending", "failed", "cancelled", "lost")
COMPARED = 200  # points whose settings are compared to find what sets them apart


def named(store: Store, tokens: Sequence[str]) -> list[Submission]:
    """The submissions that tokens begin, each once; those with something left to do where none is named.

    Raises UsageError for a token that no submission has.
    """
    from ..dispatch.queue import open_submissions
    from ..dispatch.submission import find_submission

    if not tokens:
        return open_submissions(store)
    found: dict[str, Submission] = {}
    for token in tokens:
        try:
            submission = find_submission(store.path, token)
        except GridrunError as error:
            raise UsageError(str(error)) from None
        found[submission.token] = submission
    return list(found.values())


def experiments_of(submission: Submission) -> str:
    """The experiments whose points it computes."""
    return ", ".join(submission.manifest.get("experiments", {})) or str(submission.manifest.get("mode", ""))


def age_s(submission: Submission) -> float:
    return max(0.0, time.time() - float(submission.manifest["created"]))


def counts_by_token(view: View) -> dict[str, Counter[str]]:
    """How many points of each submission are in which state."""
    if len(view.cases) == 1:
        return {view.cases[0].submission.token: Counter(view.counts)}
    found: dict[str, Counter[str]] = {case.submission.token: Counter() for case in view.cases}
    for point in view.points():
        found[point.token][point.state] += 1
    return found


def lines_of(view: View) -> list[str]:
    """A line per unfinished submission: where it runs, as which jobs, how old it is, how its tasks are."""
    tasks: dict[str, Counter[str]] = {}
    for task in view.tasks:
        tasks.setdefault(task.token, Counter())[task.state] += 1
    lines = []
    for case in view.cases:
        if case.is_settled:
            continue
        sent, jobs = case.submission, list(dict.fromkeys(case.history.jobs.values()))
        states = tasks.get(sent.token, Counter())
        words = ", ".join(f"{states[state]} {coloured(state)}" for state in STATES if states[state])
        as_jobs = f" as {'job' if len(jobs) == 1 else 'jobs'} {some(jobs, 5)}" if jobs else ""
        what = f"{sent.token}  {experiments_of(sent)}  {sent.manifest['mode']}{as_jobs}, {duration(age_s(sent))} old"
        lines.append(f"{what}: {plural(sum(states.values()), 'task')}{': ' * bool(words)}{words}")
    return lines + ([click.style(view.problem, fg="red")] if view.problem else [])


def count_line(counts: Mapping[str, int], eta_s: float | None) -> str:
    """Counts of points in a line.

    >>> count_line({"done": 3, "running": 1, "failed": 0}, 75)
    '3 done, 1 running of 4 points, about 1 min 15 s left'
    """
    words = ", ".join(f"{counts[state]} {state}" for state in STATES if counts.get(state))
    left = f", about {duration(eta_s)} left" if eta_s is not None else ""
    return f"{words or 'nothing'} of {plural(sum(counts.values()), 'point')}{left}"


def tell_failed(view: View, limit: int = 20) -> None:
    """A line per point that has no result and gets none: its id, what sets it apart, why, and where its log is."""
    listed = [point for point in view.points() if point.state in ("failed", "cancelled", "lost")]
    wrong = [point for point in listed if point.state != "cancelled"]
    apart = settings_apart(view, wrong[:limit])
    for point in wrong[:limit]:
        settings = " ".join(f"{key}={cell(value, 40)}" for key, value in apart.get(point.mark, {}).items())
        words = [coloured(point.state), point.id[:ID_DIGITS], settings and f"{settings}:", _first_line(point.detail)]
        click.echo(f"  {' '.join(word for word in words if word)}", err=True)
        if point.log is not None and point.log.exists():
            click.echo(f"    its log: {near(point.log)}", err=True)
    if len(wrong) > limit:
        click.echo(f"  ... and {len(wrong) - limit} more", err=True)
    if cancelled := len(listed) - len(wrong):
        click.echo(f"  {plural(cancelled, 'point')} cancelled", err=True)
    if wrong:
        click.echo("`gridrun show ID` prints a traceback, `gridrun logs ID` what the task printed", err=True)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def settings_apart(view: View, points: Iterable[PointView]) -> dict[str, dict[str, Any]]:
    """The settings that set points apart from the others of their submission, by their marks."""
    cases = {case.submission.token: case for case in view.cases}
    wanted = {point.mark: settings_of(cases[point.token], point.number) for point in points}
    others = [settings_of(case, n) for case in view.cases for n in range(min(COMPARED, len(case.submission.rows)))]
    keys = different_settings([*wanted.values(), *filter(None, others)])
    shorts = {key: last_part(key, keys) for key in keys}
    return {mark: {shorts[k]: v for k, v in found.items() if k in shorts} for mark, found in wanted.items()}


def settings_of(case: Case, number: int) -> dict[str, Any]:
    """The settings of a point, as far as the store has a record of it."""
    from ..record import Record

    key = case.submission.rows[number].key
    rows = case.store.rows(key) if key in case.store.index else []
    return Record(case.store, key, *rows[0]).dependencies if rows else {}


def near(path: Path) -> str:
    """A path from the current folder, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
