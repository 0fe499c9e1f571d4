"""Reading IDX files (LeCun's format of MNIST and its kin), plain or gzipped, checked by MD5."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(data: bytes, name: str = "the IDX data") -> np.ndarray:
    """The array in IDX bytes: two zero bytes, type, number of dimensions, the dimensions (big-endian), the
    values.

    >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 255])).tolist()
    [[7, 255]]
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES:
        raise ValueError(f"{name} is no IDX file: it starts with {data[:4].hex(' ') or 'nothing'}")
    dtype, n_dimensions = np.dtype(TYPES[data[2]]), data[3]
    start = 4 + 4 * n_dimensions
    if len(data) < start:
        raise ValueError(f"{name} ends within its header of {start} bytes")
    shape = struct.unpack(f">{n_dimensions}I", data[4:start])
    expected = start + int(np.prod(shape)) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(f"{name} has {len(data)} bytes; an array of shape {shape} needs {expected}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def read_idx(folder: Path, name: str, md5_gz: str, md5_plain: str, address: str) -> np.ndarray:
    """The array of `folder/name` or `folder/name.gz`, its MD5 checked.

    FileNotFoundError names the folder and the address to fetch from; a damaged file is a ValueError that
    names it.
    """
    for path, expected in [(folder / f"{name}.gz", md5_gz), (folder / name, md5_plain)]:
        if path.is_file():
            data = path.read_bytes()
            if (md5 := hashlib.md5(data, usedforsecurity=False).hexdigest()) != expected:
                raise ValueError(f"{path} is damaged (MD5 {md5}, not {expected}): fetch it again from {address}")
            return parse_idx(_plain(data, path), str(path))
    raise FileNotFoundError(
        f"no {name}.gz in {folder.resolve()}: fetch {address}{name}.gz into it, "
        "or set data_dir or GRIDRUN_DATA to a folder in torchvision's layout"
    )


def _plain(data: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from error
