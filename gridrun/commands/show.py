"""gridrun show: all that is known of one result."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from ._outline import outline
from ._records import store_of
from ._screen import plain

EPILOG = """\b
Examples:
  gridrun show 3f2a91c0            the first digits are enough
  gridrun show 3f2a91c0 --json | jq .settings

The ids are printed by `gridrun query`, and by train.py for points that failed.
"""


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
    traceback = (parts.get("error") or {}).pop("traceback", "")
    for title, part in parts.items():
        print_part(title, part)
    if traceback:
        click.echo(click.style("traceback", bold=True))
        click.echo(traceback.rstrip())


def describe(record: Any) -> dict[str, Any]:
    """A record as a dict of parts, the most asked for first."""
    context = {key: value for key, value in record.context.items() if key not in ("table", "function", "log")}
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
    parts = {"result": {key: value for key, value in head.items() if value}, "settings": record.dependencies}
    outcome = {"error": record.error} if record.state == "failed" else {"value": outline(record)}
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


def print_part(title: str, part: Any) -> None:
    """A title and its indented lines; a part that is one value stands beside it."""
    if not isinstance(part, Mapping):
        click.echo(f"{click.style(title, bold=True)}  {text(part)}")
    elif part:
        click.echo(click.style(title, bold=True))
        width = max(len(str(key)) for key in part)
        for key, value in part.items():
            click.echo(f"  {str(key):{width}}  {text(value)}")


def text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else str(plain(value))
