"""Asking the store for one function's results: which record of a key holds, and its value."""

from __future__ import annotations

import functools
import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .cache import Cached
from .codec import READERS, decode_result, files_of
from .errors import CodeChanged, DamagedFile
from .fingerprint import changed_parts
from .hashing import digest
from .keying import Keying
from .record import session_id, session_of
from .segments import FAILURE, RESULT, ROW, STARTED, Frame, Row
from .store import Store

MISS = object()
QUICK_ROW = struct.Struct("<16xI4xIII").unpack_from  # context, kind, and where the value is
QUICK_READERS = {tag[0]: reader for tag, reader in READERS.items()}


@dataclass(frozen=True)
class Found:
    """A result of the store, by its record."""

    id: str
    frame: Frame
    row: Row
    changes: tuple[str, ...] = ()  # of the code since it was stored


@dataclass(frozen=True)
class Verdict:
    """Whether results of one context (function and code as they were then) may be used now."""

    code: bytes
    current: bool
    changed_defaults: frozenset[str]
    changes: tuple[str, ...]


class Lookup:
    """The results of one cached function in one store."""

    def __init__(self, cached: Cached, store: Store) -> None:
        self.cached = cached
        self.store = store
        self.cache_dir = str(store.path)
        self.verdicts: dict[bytes, Verdict] = {}
        self.usable: set[bytes] = set()  # contexts whose results hold without further questions
        self.reused: Counter[tuple[str, ...]] = Counter()
        self._context: bytes | None = None

    @property
    def context(self) -> bytes:
        """What all results that are computed now share, as JSON."""
        if self._context is None:
            from .provenance import circumstances

            cached = self.cached
            code = cached.fingerprint
            file = cached.function.__code__.co_filename
            self._context = json.dumps(
                {
                    "function": cached.identity,
                    "table": cached.table,
                    "code": code.digest.hex(),
                    "parts": code.parts,
                    "from_bytecode": code.from_bytecode,
                    "defaults": cached.default_digests,
                    "version": repr(cached.version),
                    **circumstances(_folder(file)),
                },
                sort_keys=True,
            ).encode()
        return self._context

    # ----------------------------------------------------------------------------------------------------- the records
    def value(self, key: bytes | None) -> Any:
        """The value of a key, found the quick way (one record, small, of the present code); MISS if it is not."""
        place = self.store.index.get(key) if key else None
        if isinstance(place, tuple):
            frame, number = place
            context, kind, start, end = QUICK_ROW(frame.table, number * ROW.size)
            raw = frame.contexts.get(context, b"")
            if kind == RESULT and raw and (raw in self.usable or self._is_usable(raw)):
                payload = frame.values[start:end]
                reader = QUICK_READERS.get(payload[0]) if payload else None
                if reader is not None:
                    try:
                        return reader(payload)
                    except (ValueError, struct.error):
                        return MISS  # no bytes of ours: the long way says so
        return MISS

    def _is_usable(self, context: bytes) -> bool:
        self._verdict(context)
        return context in self.usable

    def find(self, key: bytes, keying: Keying, values: Sequence[Any]) -> Found | None:
        """The result that holds for a key: the newest generation, and in it the first record that is whole."""
        if key not in self.store.index:
            return None
        kinds = (RESULT, STARTED) if self.cached.keeps_own_files else (RESULT,)
        results = [(f, r, self._verdict(f.contexts[r.context])) for f, r in self.store.rows(key) if r.kind in kinds]
        holding = [found for found in results if self._holds(found[2], keying, values)]
        if not holding:
            if results and self.cached.code == "error":
                raise CodeChanged(
                    f"{self.cached.table} changed since its results were stored ({_changes(results[0][2].changes)}); "
                    "restore it, or set cachable(code='recompute')"
                )
            return None
        holding.sort(key=lambda found: not found[2].current)  # the present code first, then the newest generation
        _, newest, best = holding[0]
        for frame, row, verdict in holding:
            if (verdict.current, row.generation) != (best.current, newest.generation):
                break  # what was superseded does not come back when its successor is damaged
            found = Found(session_id(key, verdict.code, row.generation), frame, row, verdict.changes)
            if self._is_whole(found):
                if not verdict.current and self.cached.code == "warn":
                    self.reused[verdict.changes] += 1
                return found
        return None

    def has(self, key: bytes, generation: int, keying: Keying, values: Sequence[Any]) -> bool:
        """Whether the store has a whole result of a key that holds, of this generation or a later one."""
        found = self.find(key, keying, values)
        return found is not None and found.row.generation >= generation

    def load(self, found: Found) -> Any:
        """The value of a result. Raises DamagedFile if its file is not what was written."""
        if self.cached.is_custom:
            return self.load_custom(found.id)
        return decode_result(found.frame.value(found.row), self.store.read_blob)

    def load_custom(self, session: str) -> Any:
        """What the function's own loader gives; None if it has none."""
        cached = self.cached
        if cached.loader is None:
            return None
        return cached.loader(cached.id_text(session), cached.table, self.cache_dir)

    def failure(self, key: bytes) -> tuple[str, str]:
        """The id of the last attempt at a key that failed, and why it did; two empty texts if none did."""
        rows = [(f, r) for f, r in self.store.rows(key) if r.kind == FAILURE]
        if not rows:
            return "", ""
        frame, row = max(rows, key=lambda found: found[1].stamp)
        error = json.loads(frame.value(row))
        return session_of(frame, row), f"{error['error']}: {error['message']}"

    def dependencies(self, most: int = 20_000) -> Iterator[dict[str, Any]]:
        """What each stored result of this function depends on, among the last `most` of the store."""
        for key in list(islice(reversed(self.store.index), most)):
            for frame, row in self.store.rows(key)[:1]:
                if row.kind != FAILURE and _table(frame.contexts[row.context]) == self.cached.table:
                    try:
                        yield json.loads(frame.meta(row) or "{}").get("dependencies") or {}
                    except DamagedFile:  # doctor names it
                        continue

    def staleness(self, key: bytes) -> str:
        """What changed since a key's results were stored; "" if it has none of other code."""
        rows = [(f, r) for f, r in self.store.rows(key) if r.kind == RESULT]
        verdicts = [self._verdict(frame.contexts[row.context]) for frame, row in rows]
        return _changes(verdicts[0].changes) if verdicts and not verdicts[0].current else ""

    def mark(self, key: bytes) -> bytes:
        """16 bytes for a key under the present code: what is claimed while it is computed."""
        return digest(key + self.cached.fingerprint.digest)

    def new_session(self, key: bytes, generation: int) -> str:
        return session_id(key, self.cached.fingerprint.digest, generation)

    def _verdict(self, context: bytes) -> Verdict:
        verdict = self.verdicts.get(context)
        if verdict is None:
            then = json.loads(context)
            now = self.cached.fingerprint
            code = bytes.fromhex(then.get("code", ""))
            old, new = then.get("defaults", {}), self.cached.default_digests
            changed = frozenset(name for name in old if name in new and old[name] != new[name])
            current = code == now.digest or self.cached.code == "ignore"
            changes = tuple(changed_parts(then.get("parts", {}), now.parts)) if not current else ()
            verdict = self.verdicts[context] = Verdict(code, current, changed, changes)
            if current and not changed and not self.cached.is_custom:
                self.usable.add(context)
        return verdict

    def _holds(self, verdict: Verdict, keying: Keying, values: Sequence[Any]) -> bool:
        if not verdict.current and self.cached.code not in ("warn", "ignore"):
            return False
        return not verdict.changed_defaults or verdict.changed_defaults.isdisjoint(keying.omitted(values))

    def _is_whole(self, found: Found) -> bool:
        """Whether a result's files are there, without reading them (the checksum is compared when they are)."""
        cached = self.cached
        if cached.checker is not None:
            return bool(cached.checker(cached.id_text(found.id), cached.table, self.cache_dir))
        if cached.is_custom:
            return True
        try:
            names = files_of(found.frame.value(found.row), self.store.read_blob)
        except DamagedFile:
            return False
        return all(self.store.blob_path(name).exists() for name in names)

    def next_generation(self, key: bytes, force: bool = False) -> int:
        """The generation of a new result: the newest again (its file is damaged), or the one after, if forced."""
        if key not in self.store.index:
            return 0
        rows = self.store.rows(key)
        mine = [r for f, r in rows if r.kind == RESULT and self._verdict(f.contexts[r.context]).current]
        if not mine:
            return self.store.first_generation(key)
        return mine[0].generation + force


@functools.lru_cache(maxsize=4096)
def _table(context: bytes) -> str:
    return str(json.loads(context).get("table", ""))


def _folder(file: str) -> str:
    import os

    return os.path.dirname(os.path.abspath(file)) if os.path.exists(file) else os.getcwd()


def _changes(changes: Sequence[str]) -> str:
    return ", ".join(changes) if changes else "its code"
