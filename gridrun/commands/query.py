"""gridrun query: stored results as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from ._records import column_of, fields, last_part, select, store_of, where_option
from ._screen import FORMATS, ID_DIGITS, plain, show_rows

EPILOG = """\b
Examples:
  gridrun query                                        everything, the newest last
  gridrun query train --where seed=0
  gridrun query --where "level<=0.3" --where state=done --format=csv > results.csv
  gridrun query --where dirty=True --keys=seed,accuracy,host
  gridrun query train --format=json | jq '.[].accuracy'

Keys are settings, parts of a result, and what is kept beside it: id, table, function, state, start, seconds,
peak_mb, host, job, commit, dirty, versions (gridrun, python, numpy, torch). `gridrun show ID` prints all.
"""
ALWAYS = ("id", "table", "state")


@click.command("query", short_help="Tabulate stored results.", epilog=EPILOG)
@click.argument("table", required=False)
@where_option
@click.option("-keys", "--keys", metavar="KEY,KEY", help="These columns, in this order.")
@click.option("-limit", "--limit", type=click.IntRange(0), help="At most this many, the newest.")
@click.option("-format", "--format", "form", type=FORMATS, default="table", help="How to print them.")
@click.pass_context
def command(
    ctx: click.Context,
    table: str | None,
    where: tuple[str, ...],
    keys: str | None,
    limit: int | None,
    form: str,
) -> None:
    """Filter stored results and tabulate them: settings, plain results, seconds.

    TABLE is a cached function's name (or its table_name); all tables by default.
    """
    records = select(store_of(ctx), table, where)
    if limit is not None:
        records = records[len(records) - limit :] if limit else []
    rows = [row_of(record) for record in records]
    columns = asked(keys, rows) if keys else interesting(rows)
    show_rows([{last_part(c, columns): row.get(c) for c in columns} for row in map(readable, rows)], form)
    if form == "table" and not rows:
        click.echo("no results")


def row_of(record: Any) -> dict[str, Any]:
    """A result's fields, and its value: the plain parts of a dict, else under its table's name."""
    row = fields(record)
    value = record.outline()
    parts = value if isinstance(value, dict) else {record.table: value}
    return {
        **row,
        **{str(key): part for key, part in parts.items() if is_plain(part) and str(key) not in row},
    }


def is_plain(value: Any) -> bool:
    return isinstance(plain(value), (bool, int, float, str))


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """The id in its first digits, the start as a local time."""
    start = datetime.fromtimestamp(row["start"]).isoformat(" ", "seconds")
    return {**row, "id": row["id"][:ID_DIGITS], "start": start}


def asked(keys: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns that --keys names."""
    known = dict.fromkeys(key for row in rows for key in row)
    return [column_of(key.strip(), known) or key.strip() for key in keys.split(",")]


def interesting(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the results are, the settings and results that differ among them, and what they took."""
    hidden = {
        "function",
        "generation",
        "start",
        "peak_mb",
        "seconds",
        "code",
        "pid",
        "host",
        "job",
        "log",
        "argv",
    }
    keys = dict.fromkeys(key for row in rows for key in row if key not in hidden and "." not in key)
    values = {key: {str(row.get(key)) for row in rows} for key in keys}
    chosen = [key for key in keys if key not in ALWAYS and (len(values[key]) > 1 or len(rows) == 1)]
    return [*ALWAYS, *(key for key in chosen if any(is_plain(row.get(key)) for row in rows)), "seconds"]
