"""Append-only files of records: one per writer, safe to read while it grows.

    file    = "gridrun segment 1\\n" frame*
    frame   = header (magic, number of rows, lengths, checksums), table of rows, values, metadata
    row     = key, generation, kind, where its value and metadata are, time of writing, number of its context
    context = what many rows share (function, versions, host): JSON, numbered in the order of the file

A frame is written by one write() and believed only if its checksums hold, so whatever a crash tears off the end is as
if it had never been there. Damage in the middle costs the frames it hits; reading goes on at the next whole one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import xxhash

from .errors import DamagedFile, StoreError

MAGIC = b"gridrun segment 1\n"
ROWS, CONTEXT = b"\xf1GR\n", b"\xf1GC\n"
HEADER = struct.Struct("<4sIIIQQ")  # magic, rows, body bytes, metadata bytes, checksum of body, of metadata
SUM = struct.Struct("<Q")
ROW = struct.Struct("<16sIIIIIIId")
KEYS = struct.Struct(f"<16s{ROW.size - 16}x")
HEAD_SIZE = HEADER.size + SUM.size
RESULT, FAILURE, DELETION = 0, 1, 2
checksum = xxhash.xxh3_64_intdigest


class Row(NamedTuple):
    """One record as its table row tells it."""

    key: bytes
    context: int
    generation: int
    kind: int
    value_start: int
    value_end: int
    meta_start: int
    meta_end: int
    stamp: float


@dataclass
class NewRecord:
    """A record to append; `stamp` is seconds since the epoch, `context` the JSON bytes of what it shares."""

    key: bytes
    context: bytes
    generation: int
    kind: int
    value: bytes
    meta: bytes
    stamp: float


class Frame:
    """Rows that were written together, their values in memory (or on disk, when they are many bytes)."""

    __slots__ = ("contexts", "keep", "meta_at", "meta_size", "n_rows", "path", "table", "values", "values_at")

    KEEP_BYTES = 1 << 20

    def __init__(self, path: str, at: int, n_rows: int, body: bytes, meta_size: int, contexts: list[bytes]) -> None:
        table_size = n_rows * ROW.size
        self.path, self.n_rows, self.contexts = path, n_rows, contexts
        self.table = body[:table_size]
        self.values_at = at + HEAD_SIZE + table_size
        self.meta_at, self.meta_size = at + HEAD_SIZE + len(body), meta_size
        self.keep = len(body) - table_size <= self.KEEP_BYTES
        self.values = body[table_size:] if self.keep else b""

    def keys(self) -> list[bytes]:
        return [key for (key,) in KEYS.iter_unpack(self.table)]

    def row(self, number: int) -> Row:
        return Row._make(ROW.unpack_from(self.table, number * ROW.size))

    def value(self, row: Row) -> bytes:
        if self.keep:
            return self.values[row.value_start : row.value_end]
        return self._read(self.values_at + row.value_start, row.value_end - row.value_start)

    def meta(self, row: Row) -> bytes:
        return self._read(self.meta_at + row.meta_start, row.meta_end - row.meta_start)

    def _read(self, at: int, size: int) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return os.pread(file.fileno(), size, at)
        except OSError as error:
            raise DamagedFile(f"{self.path} cannot be read: {error.strerror}") from error


@dataclass
class Damage:
    """A part of the store that is not what was written."""

    path: str
    what: str


@dataclass
class SegmentReader:
    """Follows one segment file as it grows."""

    path: str
    offset: int = 0
    contexts: list[bytes] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)

    def new_frames(self, check_meta: bool = False) -> Iterator[Frame]:
        """The whole frames since the last call; a torn end is left for the next one."""
        try:
            file = open(self.path, "rb", buffering=1 << 18)  # noqa: SIM115
        except FileNotFoundError:
            return
        with file:
            if self.offset == 0 and not self._starts_well(file):
                return
            file.seek(self.offset)
            while (frame := self._next(file, check_meta)) is not None:
                if frame.n_rows:
                    yield frame

    def _starts_well(self, file: BinaryIO) -> bool:
        start = file.read(len(MAGIC))
        if start == MAGIC:
            self.offset = len(MAGIC)
            return True
        if len(start) == len(MAGIC) or not MAGIC.startswith(start):
            if start.startswith(b"gridrun segment "):
                raise StoreError(f"{self.path} was written by a newer gridrun; update this one")
            self.offset = self._resynchronise(file, 0) or 0
            self._note(0, "its first bytes are damaged")
            return bool(self.offset)
        return False

    def _next(self, file: BinaryIO, check_meta: bool) -> Frame | None:
        head = file.read(HEAD_SIZE)
        if not self._head_is_whole(head):
            found = self._resynchronise(file, self.offset + 1)
            if found is None:
                return None  # the torn end of a live or dead writer
            self._note(self.offset, f"{found - self.offset} damaged bytes")
            self.offset = found
            file.seek(found)
            head = file.read(HEAD_SIZE)
        magic, n_rows, body_size, meta_size, body_sum, meta_sum = HEADER.unpack_from(head)
        body = file.read(body_size)
        at, end = self.offset, self.offset + HEAD_SIZE + body_size + meta_size
        whole = len(body) == body_size and os.fstat(file.fileno()).st_size >= end
        if not whole:
            return None
        if checksum(body) != body_sum:
            self._note(at, f"{n_rows} damaged records" if magic == ROWS else "a damaged context")
            n_rows = 0
            if magic == CONTEXT:
                self.contexts.append(b"{}")
        elif magic == CONTEXT:
            self.contexts.append(body)
            n_rows = 0
        if check_meta and checksum(file.read(meta_size)) != meta_sum:
            self._note(at, "damaged metadata")
        self.offset = end
        file.seek(end)
        return Frame(self.path, at, n_rows, body, meta_size, self.contexts)

    @staticmethod
    def _head_is_whole(head: bytes) -> bool:
        if len(head) < HEAD_SIZE or head[:4] not in (ROWS, CONTEXT):
            return False
        return bool(SUM.unpack_from(head, HEADER.size)[0] == checksum(head[: HEADER.size]))

    def _resynchronise(self, file: BinaryIO, start: int) -> int | None:
        """Where the next frame with a whole header begins."""
        file.seek(start)
        rest = file.read()
        at = min((i for i in (rest.find(ROWS), rest.find(CONTEXT)) if i >= 0), default=-1)
        while at >= 0:
            if self._head_is_whole(rest[at : at + HEAD_SIZE]):
                return start + at
            at = min((i for i in (rest.find(ROWS, at + 1), rest.find(CONTEXT, at + 1)) if i >= 0), default=-1)
        return None

    def _note(self, at: int, what: str) -> None:
        self.damage.append(Damage(self.path, f"{what} at byte {at}"))


class SegmentWriter:
    """Appends frames to a segment of its own."""

    def __init__(self, path: Path, durable: bool = True) -> None:
        self.path = path
        self.durable = durable
        self.numbers: dict[bytes, int] = {}
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        share_with_group(self.fd, path.parent)
        self.end = 0
        self._append(MAGIC)

    def append(self, records: list[NewRecord]) -> None:
        """Write `records` as one frame, whole or not at all. Raises StoreError if the disk refuses."""
        start = self.end
        for record in records:
            if record.context not in self.numbers:
                self._append(_pack(CONTEXT, 0, [record.context], []))
                self.numbers[record.context] = len(self.numbers)
        table, values, metas = [], [], []
        value_at = meta_at = 0
        for r in records:
            value_end, meta_end = value_at + len(r.value), meta_at + len(r.meta)
            number = self.numbers[r.context]
            table.append(
                ROW.pack(r.key, number, r.generation, r.kind, value_at, value_end, meta_at, meta_end, r.stamp)
            )
            values.append(r.value)
            metas.append(r.meta)
            value_at, meta_at = value_end, meta_end
        self._append(_pack(ROWS, len(records), table + values, metas))
        if self.durable:
            self._sync(start)

    def _append(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self.fd, memoryview(data)[written:], self.end + written)
        except OSError as error:
            self._truncate()
            raise disk_error(error, self.path) from error
        self.end += len(data)

    def _sync(self, start: int) -> None:
        try:
            os.fsync(self.fd)
        except OSError as error:
            self.end = start
            self._truncate()
            raise disk_error(error, self.path) from error

    def _truncate(self) -> None:
        with contextlib.suppress(OSError):  # readers take what is left for a torn end
            os.ftruncate(self.fd, self.end)

    def close(self) -> None:
        os.close(self.fd)


def _pack(magic: bytes, n_rows: int, body: list[bytes], meta: list[bytes]) -> bytes:
    whole, metas = b"".join(body), b"".join(meta)
    head = HEADER.pack(magic, n_rows, len(whole), len(metas), checksum(whole), checksum(metas))
    return b"".join([head, SUM.pack(checksum(head)), whole, metas])


def disk_error(error: OSError, path: Any) -> StoreError:
    """An operating system's refusal, with the path and the way out."""
    hints = {
        errno.ENOSPC: "the disk is full: free some space, then run the same command again; what was stored is safe",
        errno.EDQUOT: "your disk quota is used up: free some space, then run the same command again",
        errno.EROFS: "the file system is read-only: choose another store with cache_dir= or GRIDRUN_SESSIONS",
        errno.EACCES: "no permission: choose another store with cache_dir= or GRIDRUN_SESSIONS",
    }
    hint = hints.get(error.errno or 0, "check the disk")
    return StoreError(f"cannot write {path}: {error.strerror}; {hint}")


def share_with_group(fd: int, folder: Path) -> None:
    """Make a file group-writable where its folder is."""
    if os.stat(folder).st_mode & 0o020:
        with contextlib.suppress(OSError):  # a file system without modes
            os.fchmod(fd, os.fstat(fd).st_mode | 0o060)
