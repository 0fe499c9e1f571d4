"""Looking after a store: `doctor` verifies every byte, `gc` removes what no result needs."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import xxhash

from .codec import files_of
from .errors import DamagedFile, StoreError
from .files import file_safe
from .machine import host_name, process_start, random_name
from .record import code_of, session_of
from .segments import DELETION, RESULT, ROW, Damage, Frame, NewRecord, Row, SegmentReader, SegmentWriter
from .store import Store

YOUNG_S = 3600.0  # files younger than this may belong to a result that is being written
PACKED_ROWS = 1024
MANY, SMALL = 100, 1 << 20  # segments of so few bytes are packed together where there are so many


class Removal(NamedTuple):
    """A file or folder that no result needs."""

    path: str
    n_bytes: int
    why: str


# --------------------------------------------------------------------------------------------------------------- doctor
def verify(store: Store, progress: Callable[[str], None] = lambda path: None) -> list[Damage]:
    """Read every byte of the store and name what is damaged: segments, large files, and results that miss theirs."""
    store.refresh()
    damage: list[Damage] = []
    for path in _files(store.path / "segments", ".seg"):
        progress(str(path))
        damage.extend(_verify_segment(path))
    for path in _files(store.path / "objects", ""):
        progress(str(path))
        if path.name.startswith("."):  # being written
            continue
        digest = xxhash.xxh3_128_hexdigest(path.read_bytes())
        if digest != path.name.partition(".")[0]:
            damage.append(Damage(str(path), "its content does not match its checksum"))
    damage.extend(_missing_files(store))
    damage.extend(Damage(str(p), "set aside: it failed its checksum") for p in _files(store.path / "damaged", ""))
    return damage


def _verify_segment(path: Path) -> list[Damage]:
    reader = SegmentReader(str(path))
    try:
        for _ in reader.new_frames(check_meta=True):
            pass
    except StoreError as error:
        return [Damage(str(path), str(error))]
    torn = path.stat().st_size - reader.offset
    if torn and time.time() - path.stat().st_mtime > 1.0:
        reader.damage.append(Damage(str(path), f"a torn end of {torn} bytes (a write that was cut off)"))
    return reader.damage


def _missing_files(store: Store) -> Iterator[Damage]:
    for record in store.records():
        if record.row.kind == RESULT:
            try:
                missing = [n for n in files_of(record.payload, store.read_blob) if not store.blob_path(n).exists()]
            except (DamagedFile, StoreError) as error:
                yield Damage(record.id, str(error))
                continue
            for name in missing:
                yield Damage(str(store.blob_path(name)), f"missing, needed by {record.id}")


# ------------------------------------------------------------------------------------------------------------------- gc
def collect(store: Store, dry_run: bool = True) -> list[Removal]:
    """Remove superseded and deleted results, files that no result names, and what crashes left behind.

    Only told, not done, if `dry_run`. Files of the last hour, and segments whose writer may be alive, are left alone.
    """
    store.refresh()
    kept, removals = _sort_segments(store)
    needed = _needed_files(store)
    for path in _files(store.path / "objects", ""):
        if path.name not in needed and not path.name.startswith(".") and _is_old(path):
            removals.append(Removal(str(path), _size(path), "no result needs it"))
    sessions = {session_of(frame, row) for key in list(store.index) for frame, row in store.rows(key)} | _queued(store)
    idle = not store.live_claims()  # a run that is going on has no result yet
    for folder in _folders(store.path / "runs") if idle else ():
        if folder.name not in sessions and len(folder.name) == 32 and all(map(_is_old, [folder, *folder.rglob("*")])):
            removals.append(Removal(str(folder), _size(folder), "the run it belongs to has no result"))
    for path in _files(store.path / "damaged", ""):
        removals.append(Removal(str(path), _size(path), "it failed its checksum"))
    removals.extend(_left_over(store))
    if not dry_run:
        store.check_writable()
        _repack(store, kept)
        for removal in removals:
            _remove(Path(removal.path))
    return removals


def _queued(store: Store) -> set[str]:
    """The ids of results that wait in a scheduler's queue: their runs may have checkpoints to go on from."""
    from .dispatch.queue import open_submissions

    return {row.id for submission in open_submissions(store) for row in submission.rows}


def _sort_segments(store: Store) -> tuple[dict[str, list[tuple[Frame, Row]]], list[Removal]]:
    """The segments worth rewriting, with the rows to keep of each; and what rewriting them frees."""
    worthy = (pair for key in list(store.index) for pair in _worth_keeping(store, key))
    current = {(row.key, row.stamp, frame.path) for frame, row in worthy}
    rewrite: dict[str, list[tuple[Frame, Row]]] = {}
    removals: list[Removal] = []
    rows_of: dict[str, list[tuple[Frame, Row]]] = defaultdict(list)
    for places in list(store.index.values()):
        for frame, number in places if isinstance(places, list) else [places]:
            rows_of[frame.path].append((frame, frame.row(number)))
    for path, rows in rows_of.items():
        keep = [(f, r) for f, r in rows if (r.key, r.stamp, f.path) in current or r.kind == DELETION]
        if len(keep) < len(rows) and not _writer_lives(store, path):
            freed = _row_bytes(rows) - _row_bytes(keep)
            rewrite[path] = keep
            removals.append(Removal(path, freed, f"{len(rows) - len(keep)} superseded or deleted records"))
    small = [path for path in rows_of if path not in rewrite and _is_small(store, path)]
    if len(small) >= MANY:
        rewrite.update((path, rows_of[path]) for path in small)
        removals += [Removal(path, 0, "one of many small files, each slow to open; packed into one") for path in small]
    return rewrite, removals


def _is_small(store: Store, path: str) -> bool:
    """Whether a segment is small, and nobody writes to it any more."""
    return _size(Path(path)) < SMALL and _is_old(Path(path)) and not _writer_lives(store, path)


def _row_bytes(rows: list[tuple[Frame, Row]]) -> int:
    return sum(ROW.size + r.value_end - r.value_start + r.meta_end - r.meta_start for _, r in rows)


def _worth_keeping(store: Store, key: bytes) -> list[tuple[Frame, Row]]:
    """Of each version of the code, the newest generation's first record; failures only where nothing succeeded."""
    rows = store.rows(key)
    results: dict[bytes, tuple[Frame, Row]] = {}
    for frame, row in rows:
        if row.kind == RESULT:
            results.setdefault(code_of(frame.contexts[row.context]), (frame, row))
    return list(results.values()) or rows[-1:]


def _repack(store: Store, segments: dict[str, list[tuple[Frame, Row]]]) -> None:
    """Write what is kept of `segments` into one new segment, then remove them."""
    rows = sorted((pair for pairs in segments.values() for pair in pairs), key=lambda pair: pair[1].stamp)
    if rows:
        writer = SegmentWriter(store.path / "segments" / f"packed-{random_name()}.seg")
        for start in range(0, len(rows), PACKED_ROWS):
            writer.append([_copied(frame, row) for frame, row in rows[start : start + PACKED_ROWS]])
        writer.close()
    for path in segments:
        os.unlink(path)
    store.forget()


def _copied(frame: Frame, row: Row) -> NewRecord:
    context = frame.contexts[row.context]
    return NewRecord(row.key, context, row.generation, row.kind, frame.value(row), frame.meta(row), row.stamp)


def _writer_lives(store: Store, path: str) -> bool:
    """Whether the writer of a segment may still append to it."""
    name = os.path.basename(path)
    if name.startswith("packed-"):
        return False
    if any(name.startswith(f"{file_safe(c.owner.host)}-{c.owner.pid}-") for c in store.live_claims()):
        return True
    host, pid, _ = name.removesuffix(".seg").rsplit("-", 2)
    if host == file_safe(host_name()) and pid.isdigit():
        return process_start(int(pid)) is not None
    return not _is_old(Path(path))


def _needed_files(store: Store) -> set[str]:
    names: set[str] = set()
    for key in list(store.index):
        for frame, row in store.rows(key):
            if row.kind == RESULT:
                with contextlib.suppress(DamagedFile):
                    names.update(files_of(frame.value(row), store.read_blob))
    return names


def _left_over(store: Store) -> Iterator[Removal]:
    """Files that crashes left: parts that were never renamed, heartbeats that stopped."""
    for path in store.path.rglob(".*.part"):
        if _is_old(path):
            yield Removal(str(path), _size(path), "left by a write that was cut off")
    for path in _files(store.path / "claims", ".beat"):
        if _is_old(path):
            yield Removal(str(path), _size(path), "the heartbeat of a process that ended")


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    for path in sorted(folder.rglob(f"*{suffix}")) if folder.is_dir() else []:
        if path.is_file():
            yield path


def _folders(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir():
            yield path


def _is_old(path: Path) -> bool:
    """Whether a file was last written long ago; no for one that its writer has renamed since it was listed."""
    try:
        return time.time() - path.stat().st_mtime > YOUNG_S
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    """Bytes of a file, or of all in a folder; 0 for what is gone meanwhile."""
    if path.is_dir():
        return sum(_size(each) for each in path.rglob("*") if not each.is_dir())
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
