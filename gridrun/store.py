"""sessions/: where results live. The truth is plain files that many writers can share on a network disk.

    sessions/
      format.json          version of this layout
      segments/*.seg       records: small results, failures, metadata (one append-only file per writer; segments.py)
      objects/ab/<digest>  large results: .npy, .safetensors, .json, named by the digest of their content
      runs/<id>/           what a training run keeps for itself: model, log, metrics
      tables/<name>.json   which function a table name belongs to
      claims/              who is computing what (claims.py)
      damaged/             files that failed their checksum, set aside

A result is found by its key (128 bits over its inputs); a key may have several generations (run_mode="force") and
results of several versions of the code. Its id, 32 hex digits, stands for key, code and generation.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from .claims import Claim, Claims
from .errors import DamagedFile, GridrunError, MissingKey, StoreError, TableClash
from .files import file_safe, make_folder, read_into, write_whole
from .machine import random_name, this_owner
from .record import Record
from .segments import (
    DELETION,
    RESULT,
    Damage,
    Frame,
    NewRecord,
    Row,
    SegmentReader,
    SegmentWriter,
    disk_error,
)
from .study import default_store
from .tree_writer import Blob

if TYPE_CHECKING:
    from . import upkeep

FORMAT = 1
Place = tuple[Frame, int]
REFRESH_S, REFRESH_SHARE = 1.0, 50.0
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class Store:
    """The results under one folder, as this process sees them; open it with open_store()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index: dict[bytes, Place | list[Place]] = {}
        self.readers: dict[str, SegmentReader] = {}
        self.claims = Claims(path / "claims")
        self.durable = os.environ.get("GRIDRUN_FSYNC", "1") != "0"
        self.tables: dict[str, str] = {}
        self.plans: dict[Any, Any] = {}  # prepared calls of run(), see plan.py
        self.refreshed = -1.0
        self.refresh_s = 0.0  # what the last look at all segments cost
        self._writer: SegmentWriter | None = None
        self._pending: list[NewRecord] = []
        self._mutex = threading.RLock()
        self._prepared = False
        self._check_format()
        self.refresh()

    # ------------------------------------------------------------------------------------------------------ reading
    def refresh(self, max_age_s: float = 0.0, segments: Iterable[str] = ()) -> None:
        """Take in what any process has written since the last look, if that was longer ago than `max_age_s`."""
        now = time.monotonic()
        if max_age_s and now - self.refreshed < max_age_s:
            return
        with self._mutex:
            for name in {*self._segments_on_disk(), *segments}:
                self._read_segment(name)
            self.refreshed = time.monotonic()
            self.refresh_s = self.refreshed - now

    def catch_up(self, segments: Iterable[str]) -> None:
        """Take in the segments that released claims name; all others too, if that was not done for a while.

        A look at every segment costs a call each, so where there are thousands on a slow disk it is done seldom.
        """
        news = list(segments)
        if self.claims.take_gap() or time.monotonic() - self.refreshed > max(REFRESH_S, REFRESH_SHARE * self.refresh_s):
            self.refresh(segments=news)
            return
        with self._mutex:
            for name in news:
                self._read_segment(name)

    def _segments_on_disk(self) -> Iterator[str]:
        try:
            with os.scandir(self.path / "segments") as entries:
                for entry in entries:
                    known = self.readers.get(entry.name)
                    if entry.name.endswith(".seg") and (known is None or entry.stat().st_size > known.offset):
                        yield entry.name
        except FileNotFoundError:
            return

    def _read_segment(self, name: str) -> None:
        reader = self.readers.setdefault(name, SegmentReader(str(self.path / "segments" / name)))
        for frame in reader.new_frames():
            keys = frame.keys()
            if len(keys) == len(set(keys)) and self.index.keys().isdisjoint(keys):
                self.index.update(zip(keys, ((frame, i) for i in range(frame.n_rows))))
                continue
            for i, key in enumerate(keys):
                known = self.index.get(key)
                if known is None:
                    self.index[key] = (frame, i)
                elif isinstance(known, list):
                    known.append((frame, i))
                else:
                    self.index[key] = [known, (frame, i)]

    def forget(self) -> None:
        """Read everything anew, after files were removed."""
        with self._mutex:
            self.index.clear()
            self.readers.clear()
            self.refresh()

    def rows(self, key: bytes) -> list[tuple[Frame, Row]]:
        """Every record of a key that no deletion has voided: newest generation first, then the oldest record."""
        known = self.index.get(key)
        if known is None:
            return []
        places = known if isinstance(known, list) else [known]
        rows = [(frame, frame.row(i)) for frame, i in places]
        voided = max((r.generation for _, r in rows if r.kind == DELETION), default=-1)
        alive = [(f, r) for f, r in rows if r.generation > voided and r.context in f.contexts]
        return sorted(alive, key=lambda found: (-found[1].generation, found[1].stamp, found[0].path))

    def first_generation(self, key: bytes) -> int:
        """The first generation of a key that no deletion has voided."""
        known = self.index.get(key)
        places = known if isinstance(known, list) else [known] if known is not None else []
        rows = (frame.row(i) for frame, i in places)
        return max((r.generation for r in rows if r.kind == DELETION), default=-1) + 1

    def records(self, table: str | None = None) -> Iterator[Record]:
        """The newest record of every key (a result before a failure), optionally of one table."""
        self.refresh()
        for key in list(self.index):
            rows = self.rows(key)
            results = [found for found in rows if found[1].kind == RESULT] or rows[-1:]
            for frame, row in results[:1]:
                record = Record(self, key, frame, row)
                if table is None or record.table == table:
                    yield record

    def record(self, prefix: str) -> Record:
        """The record whose id begins with `prefix`. Raises MissingKey if there is none, or more than one."""
        self.refresh()
        found = [
            record
            for key in list(self.index)
            for frame, row in self.rows(key)
            if (record := Record(self, key, frame, row)).id.startswith(prefix.lower())
        ]
        if len({r.id for r in found}) > 1:
            raise MissingKey(f"{len(found)} results of {self.path} begin with {prefix!r}; give more digits")
        if not found:
            raise MissingKey(f"no result of {self.path} has an id beginning with {prefix!r}; gridrun query lists them")
        return next((r for r in found if r.row.kind == RESULT), found[-1])

    def read_blob(self, name: str) -> bytearray:
        """The bytes of a large result. Raises DamagedFile if it is missing or fails its checksum."""
        path = self.blob_path(name)
        try:
            raw = bytearray(path.stat().st_size)
            with open(path, "rb", buffering=0) as file:
                read_into(file, raw)
        except OSError as error:
            raise DamagedFile(f"{path} cannot be read: {error.strerror}") from error
        if xxhash.xxh3_128_hexdigest(raw) != name.partition(".")[0]:
            self._set_aside(path)
            raise DamagedFile(f"{path} failed its checksum; it was set aside in {self.path / 'damaged'}")
        return raw

    def blob_path(self, name: str) -> Path:
        """Where a large result lies. Raises StoreError for a name that no digest makes."""
        stem, _, suffix = name.partition(".")
        if len(stem) != 32 or not set(stem) <= set("0123456789abcdef") or suffix not in ("npy", "safetensors", "json"):
            raise StoreError(f"{name!r} is no name of a stored file; the record that holds it is damaged or forged")
        return self.path / "objects" / name[:2] / name

    def run_folder(self, id: str) -> Path:
        """The folder that the run of this id may keep files in (not created here)."""
        return self.path / "runs" / id

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # a read-only store keeps it where it is
            (self.path / "damaged").mkdir(exist_ok=True)
            os.replace(path, self.path / "damaged" / path.name)

    # ------------------------------------------------------------------------------------------------------ writing
    def check_writable(self) -> None:
        """Raise StoreError, before anything is computed, if results could not be kept."""
        self._prepared = self._prepared and os.path.isdir(self.path / "segments")
        try:
            self._prepare()
        except GridrunError:
            raise
        except OSError as error:
            raise disk_error(error, self.path) from error
        folder = self.path / "segments"
        if not os.access(folder, os.W_OK):
            read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            code = errno.EROFS if read_only else errno.EACCES
            raise disk_error(OSError(code, os.strerror(code)), self.path)

    def put(self, record: NewRecord, blobs: Iterable[Blob] = ()) -> None:
        """Keep a record; it is on disk after the next flush()."""
        for blob in blobs:
            self._write_blob(blob)
        with self._mutex:
            self._pending.append(record)

    def flush(self) -> str:
        """Write what put() gathered; return the name of this writer's segment ("" if nothing was ever written)."""
        with self._mutex:
            if self._pending:
                if self._writer is not None and self._writer.is_lost():
                    self._writer, self._prepared = None, False  # the store was removed under us: begin again
                self._own_writer().append(self._pending)
                self._pending = []
                self._read_segment(self._own_writer().path.name)
            return self._writer.path.name if self._writer else ""

    @property
    def n_pending(self) -> int:
        return len(self._pending)

    def _own_writer(self) -> SegmentWriter:
        if self._writer is None:
            self._prepare()
            owner = this_owner()
            name = f"{file_safe(owner.host)}-{owner.pid}-{random_name()}.seg"
            try:
                self._writer = SegmentWriter(self.path / "segments" / name, self.durable)
            except GridrunError:
                raise
            except OSError as error:
                raise disk_error(error, self.path) from error
        return self._writer

    def _prepare(self) -> None:
        if self._prepared:
            return
        for name in ("segments", "objects", "runs", "tables", "claims"):
            make_folder(self.path / name)
        note = self.path / "format.json"
        if not note.exists():
            write_whole(note, json.dumps({"format": FORMAT, "by": "gridrun"}).encode(), durable=False)
        self._prepared = True

    def _write_blob(self, blob: Blob) -> None:
        self._prepare()
        path = self.blob_path(blob.name)
        if path.exists() and path.stat().st_size == blob.size:
            with contextlib.suppress(DamagedFile):
                self.read_blob(blob.name)
                return
        make_folder(path.parent)
        write_whole(path, *blob.pieces, durable=self.durable)

    def claim_table(self, table: str, identity: str) -> None:
        """Give `table` to the function `identity`. Raises TableClash if it belongs to another one."""
        if table not in self.tables:
            path = self.path / "tables" / f"{file_safe(table)}.json"
            note = json.dumps({"table": table, "function": identity}).encode()
            with contextlib.suppress(FileExistsError):  # another process may be first
                if not path.exists():
                    self._prepare()
                    write_whole(path, note, exclusive=True)
        self.check_table(table, identity)

    def check_table(self, table: str, identity: str) -> None:
        """Raise TableClash if `table` belongs to another function than `identity`."""
        if self.tables.get(table) == identity:
            return
        path = self.path / "tables" / f"{file_safe(table)}.json"
        try:
            owner = str(json.loads(path.read_text(encoding="utf-8"))["function"])
        except FileNotFoundError:
            return
        if owner != identity:
            raise TableClash(
                f"the table {table!r} of {self.path} belongs to {owner}, so {identity} cannot use it; give it a name "
                f"of its own with cachable(table_name=...), or, if the function was moved, remove {path}"
            )
        self.tables[table] = identity

    def _check_format(self) -> None:
        try:
            found = json.loads((self.path / "format.json").read_text(encoding="utf-8")).get("format")
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path / 'format.json'} cannot be read ({error}); is this a store?") from error
        if found != FORMAT:
            raise StoreError(f"{self.path} has format {found}, this gridrun reads {FORMAT}; update gridrun")

    # ----------------------------------------------------------------------------------------------------- upkeep
    def delete(self, records: Iterable[Record]) -> int:
        """Void the given results; gridrun gc then frees their space. They stay away when stores are merged."""
        n = 0
        for record in records:
            if record.row.kind == DELETION:
                continue
            context = record.frame.contexts[record.row.context]
            generation = max(row.generation for _, row in self.rows(record.key))
            self.put(NewRecord(record.key, context, generation, DELETION, b"", b"", time.time()))
            n += 1
        self.flush()
        return n

    def verify(self, progress: Callable[[str], None] = lambda path: None) -> list[Damage]:
        """Read every byte of the store and name what is damaged."""
        from . import upkeep

        return upkeep.verify(self, progress)

    def collect(self, dry_run: bool = True) -> list[upkeep.Removal]:
        """Remove what no result needs: (path, bytes, why) of each; only told, not done, if `dry_run`."""
        from . import upkeep

        return upkeep.collect(self, dry_run)

    def live_claims(self) -> list[Claim]:
        """What is being computed now, by processes that are alive as far as this machine can tell."""
        return self.claims.snapshot()


_OPEN: dict[tuple[int, str], Store] = {}


def open_store(cache_dir: str | os.PathLike[str] | None = None) -> Store:
    """The store of a folder: `cache_dir`, else $GRIDRUN_SESSIONS, else sessions/ under the study's root.

    A process opens each store once; a forked child opens its own.
    """
    text = os.fspath(cache_dir) if cache_dir else default_store()
    pid = os.getpid()
    store = _OPEN.get((pid, text)) if text[:1] == "/" else None
    if store is None:
        full = os.path.abspath(text)
        store = _OPEN.get((pid, full)) or Store(Path(full))
        _OPEN[pid, full] = _OPEN[pid, text] = store
    return store
