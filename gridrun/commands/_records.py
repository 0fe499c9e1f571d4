"""Stored results as flat rows, and the conditions that choose among them."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import UsageError, nearest
from ..experiment import enter, find_root
from ._conditions import Condition, conditions

if TYPE_CHECKING:
    from ..record import Record
    from ..store import Store

where_option = click.option(
    "-where", "--where", multiple=True, metavar="KEY=VALUE",
    help="Only results with this setting; also !=, <, <=, >, >=. Repeat it for several.",
)  # fmt: skip


class Found(NamedTuple):
    """A stored result and all that can be asked of it: what it is, its settings, how it was obtained, its values."""

    record: Record
    fields: dict[str, Any]


def fields(record: Record) -> dict[str, Any]:
    """What a result is, its settings, and how it was obtained."""
    context = shared(record.frame.contexts[record.row.context])
    flat = {
        "id": record.id,
        "table": context.get("table"),
        "function": context.get("function"),
        "state": record.state,
        "generation": record.generation,
        "start": record.start,
        "seconds": record.seconds,
        "peak_mb": record.peak_mb,
    }
    return {**flat, **context, **record.dependencies}


@functools.lru_cache(maxsize=4096)
def shared(context: bytes) -> dict[str, Any]:
    """What many results share, flat: versions, commit, host; but not the fingerprints of each part of the code."""
    tree = json.loads(context)
    return _flatten({key: value for key, value in tree.items() if key not in ("parts", "defaults")})


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"git": {"commit": "ab"}} as {"git.commit": "ab"}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        flat.update(inner)
    return flat


def values(record: Record) -> dict[str, Any]:
    """The parts of a result that is a dict; another result under its table's name. Large ones as a few words.

    Of a training run, which keeps its own folder, the metrics.json there.
    """
    outline = record.outline()
    if outline is None:
        return _metrics(record.folder / "metrics.json") if record.state == "done" else {}
    parts = outline if isinstance(outline, dict) else {record.table: outline}
    return {str(key): part for key, part in parts.items() if part is not None}


def _metrics(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        return {"metrics": f"unreadable: {error}"}


@functools.lru_cache(maxsize=4096)
def column_of(key: str, known: tuple[str, ...]) -> str | None:
    """The field that a key means: its full name, or what stands after the last : or . of it.

    >>> column_of("seed", ("model:seed", "id")), column_of("commit", ("git.commit",)), column_of("x", ("id",))
    ('model:seed', 'git.commit', None)
    """
    return key if key in known else next((name for name in known if short(name) == key), None)


def short(name: str) -> str:
    return re.split("[:.]", name)[-1]


def last_part(column: str, columns: Iterable[str]) -> str:
    """model:seed as seed, where no other column ends the same.

    >>> last_part("model:seed", ["model:seed", "id"]), last_part("a:seed", ["a:seed", "b:seed"])
    ('seed', 'a:seed')
    """
    end = column.rpartition(":")[2]
    return end if sum(other.rpartition(":")[2] == end for other in columns) == 1 else column


class Filter:
    """Conditions on results; it remembers which keys it met, to name one that no result has."""

    def __init__(self, wanted: Sequence[Condition]) -> None:
        self.wanted = wanted
        self.met: set[str] = set()
        self.missed: dict[str, set[str]] = {}  # a key that was looked for, and the keys there were

    def passes(self, found: Found) -> bool:
        """Whether a result meets every condition; one that lacks a key does not."""
        for condition in self.wanted:
            column = column_of(condition.key, tuple(found.fields))
            if column is None:  # no setting: perhaps a part of the result, which costs more to read
                found.fields.update({k: v for k, v in values(found.record).items() if k not in found.fields})
                column = column_of(condition.key, tuple(found.fields))
            if column is None:
                self.missed.setdefault(condition.key, set()).update(map(short, found.fields))
                return False
            self.met.add(condition.key)
            if not condition.holds(found.fields[column]):
                return False
        return True

    def check(self) -> None:
        """Raise UsageError for a key that none of the results had."""
        for key in self.missed.keys() - self.met:
            raise UsageError(f"no result has {key!r}; {nearest(key, self.missed[key])}")


def select(store: Store, table: str | None, where: Sequence[str]) -> list[Found]:
    """The results that meet every condition, oldest first.

    Raises UsageError for a table, or a key, that no result has.
    """
    chosen = Filter(conditions(where))
    tables, found = set(), []
    for record in store.records():
        each = Found(record, fields(record))
        tables.add(str(each.fields["table"]))
        if table in (None, each.fields["table"]) and chosen.passes(each):
            found.append(each)
    if table is not None and table not in tables:
        raise UsageError(f"no table {table!r} in {store.path}; {nearest(table, tables)}")
    chosen.check()
    return sorted(found, key=lambda each: float(each.fields["start"]))


def within(store: Store, path: Any) -> str:
    """A file of the store, named from the store's folder."""
    return os.path.relpath(path, store.path)


def store_of(ctx: click.Context) -> Store:
    """The store of the study around the current folder, or the one that GRIDRUN_SESSIONS names."""
    from ..store import open_store
    from ..study import default_store

    try:
        enter(find_root(ctx.obj or Path.cwd()))
    except UsageError:
        if not Path(default_store()).is_dir():
            raise
    return open_store()
