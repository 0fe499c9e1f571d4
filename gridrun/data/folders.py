"""Where the files of a data set are, and whether they are what was published."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def data_folder(data_dir: str | Path | None) -> Path:
    """`data_dir`, or else $GRIDRUN_DATA, or ./data."""
    return Path(data_dir or os.environ.get("GRIDRUN_DATA") or "data")


def checked(path: Path, md5: str, address: str) -> bytes:
    """The bytes of a file whose MD5 is known.

    FileNotFoundError names the file and the address to fetch it from; a damaged file is a ValueError that names it.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path.name} in {path.parent.resolve()}: fetch {address} and unpack it there, "
            "or set data_dir or GRIDRUN_DATA to a folder in torchvision's layout"
        )
    data = path.read_bytes()
    if (found := md5_of(data)) != md5:
        raise ValueError(f"{path} is damaged (MD5 {found}, not {md5}): fetch it again from {address}")
    return data


def md5_of(data: bytes) -> str:
    """As data sets publish it; it finds damage, not malice.

    >>> md5_of(b"")
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
