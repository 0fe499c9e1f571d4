"""gridrun query: stored results as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from ._records import column_of, last_part, select, store_of, values, where_option
from ._screen import FORMATS, ID_DIGITS, show_rows

EPILOG = """\b
Examples:
  gridrun query                                        everything, the newest last
  gridrun query digits_cnn --where seed=0
  gridrun query --where "level<=0.3" --where state=done --format=csv > results.csv
  gridrun query --where dirty=True --keys=seed,accuracy,host
  gridrun query mismatch_accuracy --format=json | jq '.[].mismatch_accuracy'

Keys are settings, parts of a result, and what is kept beside it: id, table, function, state, start, seconds,
peak_mb, host, job, commit, dirty, versions (gridrun, python, numpy, torch). `gridrun show ID` prints all.
"""
ALWAYS = ("id", "table", "state")
ASIDE = {*ALWAYS, "function", "generation", "start", "seconds", "peak_mb"}
ASIDE |= {"code", "pid", "host", "job", "log", "argv", "version", "from_bytecode"}
LONGEST = 40  # letters of a value in a column that was not asked for


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
    found = select(store_of(ctx), table, where)
    if limit is not None:
        found = found[len(found) - limit :]
    rows = [{**values(each.record), **each.fields} for each in found]
    columns = asked(keys, rows) if keys else interesting(rows)
    rows = list(map(readable, rows)) if form == "table" else rows
    show_rows([{last_part(c, columns): row.get(c) for c in columns} for row in rows], form)
    if form == "table" and not rows:
        click.echo("no results")


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """The id in its first digits, the start as a local time."""
    start = datetime.fromtimestamp(row["start"]).isoformat(" ", "seconds")
    return {**row, "id": row["id"][:ID_DIGITS], "start": start}


def asked(keys: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns that --keys names."""
    known = tuple(dict.fromkeys(key for row in rows for key in row))
    return [column_of(key.strip(), known) or key.strip() for key in keys.split(",")]


def interesting(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the results are, the settings and values that set them apart, and the seconds they took."""
    keys = dict.fromkeys(key for row in rows for key in row if key not in ASIDE and "." not in key)
    texts = {key: {str(row.get(key)) for row in rows} for key in keys}
    apart = [key for key in keys if len(texts[key]) > 1 or len(rows) == 1]
    settings = sorted((key for key in apart if max(map(len, texts[key])) <= LONGEST), key=lambda key: ":" not in key)
    return [*ALWAYS, *settings, "seconds"]
