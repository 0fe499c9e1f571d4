"""Append-only files of records: one per writer, safe to read while it grows.

    file    = "gridrun segment 1\\n" frame*
    frame   = header (magic, number of rows, lengths, checksums), table of rows, values, metadata; or a context
    row     = key, generation, kind, where its value and metadata are, time of writing, number of its context
    context = what many rows share (function, versions, host): JSON, with its number in place of the number of rows

A frame is written by one write() and believed only if its checksums hold, so whatever a crash tears off the end is as
if it had never been there. Damage in the middle costs the frames it hits; reading goes on at the next whole one.
"""

from __future__ import annotations

import contextlib
import errno
import functools
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
RESULT, FAILURE, DELETION, STARTED = 0, 1, 2, 3  # kinds of records
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


class Head(NamedTuple):
    """The header of a frame; of a context, `n_rows` is its number."""

    magic: bytes
    n_rows: int
    body_size: int
    meta_size: int
    body_sum: int
    meta_sum: int


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

    __slots__ = ("at", "contexts", "head", "keep", "n_rows", "path", "table", "values")

    KEEP_BYTES = 1 << 20

    def __init__(self, path: str, at: int, head: Head, body: bytes, contexts: dict[int, bytes]) -> None:
        table_size = head.n_rows * ROW.size
        self.path, self.at, self.head, self.contexts = path, at, head, contexts
        self.n_rows = head.n_rows
        self.table = body[:table_size]
        self.keep = len(body) - table_size <= self.KEEP_BYTES
        self.values = body[table_size:] if self.keep else b""

    def keys(self) -> list[bytes]:
        return [key for (key,) in KEYS.iter_unpack(self.table)]

    def row(self, number: int) -> Row:
        return Row._make(ROW.unpack_from(self.table, number * ROW.size))

    def value(self, row: Row) -> bytes:
        """The payload of a row. Raises DamagedFile if it has to be read again and cannot be."""
        if self.keep:
            return self.values[row.value_start : row.value_end]
        body = _read_whole(self.path, self.at + HEAD_SIZE, self.head.body_size, self.head.body_sum)
        return body[len(self.table) + row.value_start : len(self.table) + row.value_end]

    def meta(self, row: Row) -> bytes:
        """The metadata of a row. Raises DamagedFile if it is not what was written."""
        at = self.at + HEAD_SIZE + self.head.body_size
        return _read_whole(self.path, at, self.head.meta_size, self.head.meta_sum)[row.meta_start : row.meta_end]


@functools.lru_cache(maxsize=16)
def _read_whole(path: str, at: int, size: int, wanted: int) -> bytes:
    """A part of a segment, verified."""
    try:
        with open(path, "rb") as file:
            data = os.pread(file.fileno(), size, at)
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read: {error.strerror}") from error
    if checksum(data) != wanted:
        raise DamagedFile(f"{path} is damaged: {size} bytes at byte {at} fail their checksum")
    return data


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
    contexts: dict[int, bytes] = field(default_factory=dict)
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
            size = os.fstat(file.fileno()).st_size  # asked once: on a shared disk each question takes its time
            while (frame := self._next(file, size, check_meta)) is not None:
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

    def _next(self, file: BinaryIO, size: int, check_meta: bool) -> Frame | None:
        head = file.read(HEAD_SIZE)
        if not self._head_is_whole(head):
            found = self._resynchronise(file, self.offset + 1)
            if found is None:
                return None  # the torn end of a live or dead writer
            self._note(self.offset, f"{found - self.offset} damaged bytes")
            self.offset = found
            file.seek(found)
            head = file.read(HEAD_SIZE)
        about = Head._make(HEADER.unpack_from(head))
        body = file.read(about.body_size)
        at, end = self.offset, self.offset + HEAD_SIZE + about.body_size + about.meta_size
        if len(body) < about.body_size or size < end:
            return None
        is_whole = checksum(body) == about.body_sum
        if not is_whole:
            self._note(at, f"{about.n_rows} damaged records" if about.magic == ROWS else "a damaged context")
        if check_meta and checksum(file.read(about.meta_size)) != about.meta_sum:
            self._note(at, "damaged metadata")
        self.offset = end
        file.seek(end)
        if is_whole and about.magic == ROWS:
            return Frame(self.path, at, about, body, self.contexts)
        if is_whole:
            self.contexts[about.n_rows] = body
        return Frame(self.path, at, about._replace(n_rows=0), b"", self.contexts)

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
                self._append(_pack(CONTEXT, len(self.numbers), [record.context], []))
                self.numbers[record.context] = len(self.numbers)
        table, values, metas = [], [], []
        value_at = meta_at = 0
        for r in records:
            value_end, meta_end = value_at + len(r.value), meta_at + len(r.meta)
            number = self.numbers[r.context]
            table.append(ROW.pack(r.key, number, r.generation, r.kind, value_at, value_end, meta_at, meta_end, r.stamp))
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

    def is_lost(self) -> bool:
        """Whether the file was removed or replaced, so that nobody would find what is written to it."""
        try:
            found, mine = os.stat(self.path), os.fstat(self.fd)
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino)

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
