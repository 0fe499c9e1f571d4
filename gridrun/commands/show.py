"""gridrun show: all that is known of one result."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from ._points import plural
from ._records import last_part, store_of, values
from ._screen import plain

EPILOG = """\b
Examples:
  gridrun show 3f2a91c0            the first digits are enough
  gridrun show 3f2a91c0 --json | jq .settings

The ids are printed by `gridrun query`, and by train.py for points that failed.
"""


TOLD = ("table", "function", "log")  # elsewhere on the page


@click.command("show", short_help="Print all that is known of one result.", epilog=EPILOG)
@click.argument("id")
@click.option("-json", "--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(ctx: click.Context, id: str, as_json: bool) -> None:
    """Print one result: its value, settings, code, versions, machine, time; the traceback if it failed."""
    record = store_of(ctx).record(id)
    parts = describe(record)
    if as_json:
        click.echo(json.dumps(plain(parts), indent=2))
        return
    shorten(parts)
    for number, (title, part) in enumerate(item for item in parts.items() if item[1] not in ({}, None)):
        click.echo("\n" * (number > 0) + click.style(title, bold=True))
        click.echo("\n".join(lines_of(part)))


def shorten(parts: dict[str, Any]) -> None:
    """For the eye: a traceback at the end, and the fingerprints of the code only counted."""
    traceback = (parts.get("error") or {}).pop("traceback", "")
    if traceback:
        parts["traceback"] = traceback
    code = parts["circumstances"].pop("parts", {})
    if code:
        parts["circumstances"]["code"] += f", of {plural(len(code), 'part')} (--json names them)"


def describe(record: Any) -> dict[str, Any]:
    """A record as a dict of parts, the most asked for first."""
    context = {
        key: value
        for key, value in record.context.items()
        if value not in (None, "None", "", {}, False) and key not in TOLD
    }
    if "argv" in context:
        context["argv"] = shlex.join(context["argv"])
    log = record.context.get("log") or existing(record.folder / "log.jsonl")
    head = {
        "id": record.id,
        "state": record.state,
        "function": record.function,
        "table": record.table,
        "generation": record.generation,
        "started": f"{datetime.fromtimestamp(record.start).isoformat(' ', 'seconds')} ({ago(record.start)})",
        "took": f"{record.seconds:.3g} s, {record.peak_mb:.0f} MB at its peak",
        "folder": existing(record.folder),
        "log": log,
    }
    settings = {last_part(key, record.dependencies): value for key, value in record.dependencies.items()}
    parts = {"result": {key: value for key, value in head.items() if value}, "settings": settings}
    outcome = {"error": record.error} if record.state == "failed" else {"value": values(record)}
    return {**parts, **outcome, "circumstances": context}


def existing(path: Any) -> str | None:
    return str(path) if path.exists() else None


def ago(start: float) -> str:
    """How long ago, in the largest unit that fits.

    >>> ago(time.time() - 7300)
    '2 hours ago'
    """
    seconds = time.time() - start
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'s' * (number != 1)} ago"
    return "just now"


def lines_of(part: Any) -> list[str]:
    """The indented lines of a part; names stand in a column, a dict within it on lines of its own.

    >>> lines_of({"seed": 0, "versions": {"python": "3.11", "torch": "2.13"}})
    ['  seed      0', '  versions  python 3.11', '            torch 2.13']
    """
    if not isinstance(part, Mapping):
        return [f"  {line}" for line in text(part).splitlines()]
    width = max((len(str(key)) for key in part), default=0)
    lines = []
    for key, value in part.items():
        inner = [f"{k} {text(v)}" for k, v in value.items()] if isinstance(value, Mapping) else text(value).splitlines()
        for number, line in enumerate(inner):
            lines.append(f"  {'' if number else str(key):{width}}  {line}")
    return lines


def text(value: Any) -> str:
    return value if isinstance(value, str) else str(plain(value))
