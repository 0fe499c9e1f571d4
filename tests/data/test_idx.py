"""IDX files written by hand, and what is wrong with the others."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from gridrun.data.idx import parse_idx, read_idx

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
IDX = b"\0\0\x08\x03" + struct.pack(">3I", 3, 2, 2) + PIXELS.tobytes()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_plain_and_gzipped_files_hold_the_same_array(tmp_path: Path, suffix: str) -> None:
    data = gzip.compress(IDX) if suffix else IDX
    (tmp_path / f"pixels{suffix}").write_bytes(data)
    assert np.array_equal(read_idx(tmp_path, "pixels", md5(data), md5(data), "http://x/"), PIXELS)


def test_big_endian_numbers() -> None:
    assert parse_idx(b"\0\0\x0d\x01\0\0\0\2" + struct.pack(">2f", 1.5, -2.0)).tolist() == [1.5, -2.0]


def test_a_file_that_is_not_there_is_named_with_its_address(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}.*http://x/pixels.gz.*GRIDRUN_DATA"):
        read_idx(tmp_path, "pixels", "", "", "http://x/")


def test_one_wrong_bit_is_found(tmp_path: Path) -> None:
    damaged = IDX[:-1] + bytes([IDX[-1] ^ 1])
    (tmp_path / "pixels").write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged.*fetch it again from http://x/"):
        read_idx(tmp_path, "pixels", "", md5(IDX), "http://x/")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing"),
        (b"PK\3\4", "50 4b 03 04"),
        (IDX[:9], "within its header"),
        (IDX[:-1], "27 bytes"),
    ],
)
def test_what_is_no_idx_file_says_so(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_idx(data)
