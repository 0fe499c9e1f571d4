"""Segments: records in an append-only file; what a crash or a bad disk leaves is absent, never wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gridrun import segments
from gridrun.errors import DamagedFile, StoreError
from gridrun.segments import CONTEXT, MAGIC, RESULT, ROWS, NewRecord, SegmentReader, SegmentWriter, disk_error


def record(n: int, context: str = "c", size: int = 20) -> NewRecord:
    return NewRecord(
        key=n.to_bytes(16, "big"),
        context=f'{{"name": "{context}"}}'.encode(),
        generation=n % 3,
        kind=RESULT,
        value=(f"value {n} ".encode() * size)[:size],
        meta=f'{{"meta": {n}}}'.encode(),
        stamp=1000.0 + n,
    )


def write(path: Path, *batches: list[NewRecord]) -> list[int]:
    """Write one frame per batch; the length of the file after each."""
    writer = SegmentWriter(path, durable=False)
    ends = []
    for batch in batches:
        writer.append(batch)
        ends.append(path.stat().st_size)
    writer.close()
    return ends


def read(path: Path) -> dict[int, tuple[bytes, bytes, bytes, int, float]]:
    """Everything that a fresh reader believes: number of the record -> value, metadata, context, generation, stamp."""
    return gather(SegmentReader(str(path)))


def gather(reader: SegmentReader) -> dict[int, tuple[bytes, bytes, bytes, int, float]]:
    found = {}
    for frame in reader.new_frames():
        for i in range(frame.n_rows):
            row = frame.row(i)
            if row.context in frame.contexts:
                context = frame.contexts[row.context]
                found[int.from_bytes(row.key, "big")] = (
                    frame.value(row),
                    frame.meta(row),
                    context,
                    row.generation,
                    row.stamp,
                )
    return found


def expected(*numbers: int, context: str = "c") -> dict[int, tuple[bytes, bytes, bytes, int, float]]:
    records = {n: record(n, context) for n in numbers}
    return {n: (r.value, r.meta, r.context, r.generation, r.stamp) for n, r in records.items()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    write(path, [record(1), record(2, "other")], [record(3)], [record(4, "other")])
    assert read(path) == {**expected(1, 3), **expected(2, 4, context="other")}
    assert path.read_bytes().count(CONTEXT) == 2  # each context once


def test_a_reader_follows_a_growing_file(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    reader = SegmentReader(str(path))
    assert gather(reader) == {}  # not there yet
    writer = SegmentWriter(path)
    assert gather(reader) == {}
    for n in range(4):
        writer.append([record(n)])
        assert gather(reader) == expected(n)
    assert gather(reader) == {} and reader.damage == []


def test_large_values_are_read_from_disk_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    write(path, [record(1, size=3_000_000), record(2)])
    (frame,) = SegmentReader(str(path)).new_frames()
    assert frame.values == b"" and frame.value(frame.row(0)) == record(1, size=3_000_000).value
    raw = bytearray(path.read_bytes())
    raw[1_000_000] ^= 1
    fresh = next(SegmentReader(str(path)).new_frames())
    path.write_bytes(raw)
    segments._read_whole.cache_clear()
    with pytest.raises(DamagedFile, match="s.seg is damaged"):
        fresh.value(fresh.row(0))


def test_every_truncation_keeps_exactly_the_whole_frames(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    ends = write(path, [record(1)], [record(2), record(3)], [record(4, "other")])
    raw = path.read_bytes()
    batches = [[1], [2, 3], [4]]
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        whole = [n for end, batch in zip(ends, batches) if end <= length for n in batch]
        assert sorted(read(path)) == whole, length


def test_a_torn_end_is_believed_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    ends = write(path, [record(1)], [record(2)])
    raw = path.read_bytes()
    reader = SegmentReader(str(path))
    seen = []
    for length in (5, ends[0] - 1, ends[0], ends[0] + 3, ends[0] + 60, len(raw) - 1, len(raw)):
        path.write_bytes(raw[:length])
        seen.append(sorted(gather(reader)))
    assert seen == [[], [], [1], [], [], [], [2]]
    assert reader.damage == []


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_loses_records_but_never_gives_a_wrong_one(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "s.seg"
    write(path, [record(1)], [record(2, "other"), record(3)], [record(4, "third")], [record(5, "other")])
    raw = path.read_bytes()
    right = read(path)
    lost = []
    for at in range(bit, len(raw), 8):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << bit
        path.write_bytes(flipped)
        segments._read_whole.cache_clear()
        reader = SegmentReader(str(path))
        try:
            found = gather(reader)
        except DamagedFile:  # its metadata
            continue
        except StoreError as error:  # a version number that this gridrun does not know
            assert at < len(MAGIC) and "newer gridrun" in str(error)
            continue
        assert found.items() <= right.items(), at
        assert reader.damage or reader.offset < len(raw), at  # and it is noticed
        lost.append(len(right) - len(found))
    assert 1 in lost and max(lost) <= 3


def test_damage_in_the_middle_is_named_and_what_follows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    ends = write(path, [record(1)], [record(2)], [record(3)])
    raw = bytearray(path.read_bytes())
    raw[ends[0] + 70 : ends[0] + 90] = bytes(20)
    path.write_bytes(raw)
    reader = SegmentReader(str(path))
    assert sorted(gather(reader)) == [1, 3]
    (damage,) = reader.damage
    assert damage.path == str(path) and damage.what == f"1 damaged records at byte {ends[0]}"


def test_damaged_headers_are_skipped_to_the_next_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    ends = write(path, [record(1)], [record(2)], [record(3)])
    for start, survivors in ((0, [1, 2, 3]), (ends[0], [1, 3]), (ends[1], [1, 2])):
        raw = bytearray((tmp_path / "s.seg").read_bytes())
        raw[start : start + 4] = b"\0\0\0\0"
        copy = tmp_path / f"{start}.seg"
        copy.write_bytes(raw)
        assert sorted(read(copy)) == survivors


def test_a_lost_context_takes_its_records_along_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    write(path, [record(1, "one")], [record(2, "two")], [record(3, "three")], [record(4, "one")])
    raw = path.read_bytes()
    start = raw.find(CONTEXT, raw.find(CONTEXT) + 1)  # of "two"
    for at in (start + 1, start + 5, start + 45):  # magic, header, body
        flipped = bytearray(raw)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        assert read(path) == {**expected(1, 4, context="one"), **expected(3, context="three")}


def test_a_newer_format_is_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    path.write_bytes(b"gridrun segment 2\n" + bytes(100))
    with pytest.raises(StoreError, match="newer gridrun"):
        read(path)


@pytest.mark.parametrize(
    "junk", [b"", b"g", b"hello, this is no segment", bytes(5000), ROWS * 100, MAGIC, MAGIC + ROWS]
)
def test_what_is_no_segment_has_no_records(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "s.seg"
    path.write_bytes(junk)
    assert read(path) == {}


def test_a_refused_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.seg"
    writer = SegmentWriter(path)
    writer.append([record(1)])
    before = path.read_bytes()
    pwrite = os.pwrite
    room = [30]

    def full_disk(fd: int, data: bytes, at: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = pwrite(fd, bytes(data)[: room[0]], at)
        room[0] -= n
        return n

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full_disk)
        with pytest.raises(StoreError, match=r"s\.seg: .*disk is full: free some space.*what was stored is safe"):
            writer.append([record(2, "other")])
    assert path.read_bytes() == before
    writer.append([record(2, "other")])
    assert read(path) == {**expected(1), **expected(2, context="other")}


def test_a_failed_fsync_takes_the_records_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.seg"
    writer = SegmentWriter(path)
    writer.append([record(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(StoreError, match="Input/output error; check the disk"):
            writer.append([record(2)])
    assert sorted(read(path)) == [1]
    writer.append([record(3)])
    assert read(path) == expected(1, 3)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only.*cache_dir= or GRIDRUN_SESSIONS"),
        (errno.EACCES, "no permission"),
    ],
)
def test_a_refusal_of_the_disk_says_what_to_do(number: int, words: str) -> None:
    with pytest.raises(OSError, match=f"/some/file.*{words}"):
        raise disk_error(OSError(number, os.strerror(number)), "/some/file")
