"""gridrun gc: what the store no longer needs, or results that are to go."""

from __future__ import annotations

import click

from ._points import plural
from ._records import select, store_of, where_option, within
from ._screen import ID_DIGITS, show_rows

EPILOG = """\b
Examples:
  gridrun gc                                   what could be removed, and why
  gridrun gc --delete                          remove it
  gridrun gc digits_cnn --where seed=9 --delete   delete these results, then free their space
  gridrun gc --where state=failed --delete     forget failures

Nothing is removed without --delete.
"""


@click.command("gc", short_help="Remove what nothing needs, or chosen results.", epilog=EPILOG)
@click.argument("table", required=False)
@where_option
@click.option("-delete", "--delete", is_flag=True, help="Remove it; without this it is only listed.")
@click.pass_context
def command(ctx: click.Context, table: str | None, where: tuple[str, ...], delete: bool) -> None:
    """Remove files that nothing needs: superseded, orphaned, half-written.

    With --where (or a TABLE), delete those results first.
    """
    store = store_of(ctx)
    if where or table:
        records = [each.record for each in select(store, table, where)]
        show_rows([{"id": r.id[:ID_DIGITS], "table": r.table, "state": r.state, **r.dependencies} for r in records])
        click.echo(f"{plural(len(records), 'result')} {'deleted' if delete else 'to delete'}")
        if delete:
            store.delete(records)
        else:
            click.echo("nothing was deleted: add --delete")
            return
    found = store.collect(dry_run=not delete)
    show_rows([{"file": within(store, path), "size": in_bytes(size), "why": why} for path, size, why in found])
    total = in_bytes(sum(size for _, size, _ in found))
    click.echo(f"{plural(len(found), 'file')}, {total} {'freed' if delete else 'could be freed'}")
    if found and not delete:
        click.echo("nothing was removed: add --delete")


def in_bytes(size: float) -> str:
    """A number of bytes for people.

    >>> in_bytes(512), in_bytes(2_500_000)
    ('512 B', '2.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
