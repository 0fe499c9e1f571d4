"""Prepared arrays of this machine (decoded images, features), kept with diskcache; deleting them costs only
time.

They lie in $GRIDRUN_CACHE, or ~/.cache/gridrun (macOS: ~/Library/Caches/gridrun). Only bytes are stored, a
checksum and the .npy format, never a pickle: reading what another user or a damaged disk left there runs no
code.
"""

from __future__ import annotations

import io
import os
import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xxhash

Arrays = dict[str, np.ndarray]


def cache_folder() -> Path:
    """Where prepared data is kept."""
    if folder := os.environ.get("GRIDRUN_CACHE"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gridrun"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridrun"


def prepared(key: str, names: list[str], build: Callable[[], Arrays]) -> Arrays:
    """The arrays called `names` under `key`, built if they are not there or damaged.

    `key` must change with anything the arrays depend on (the source's checksum, the version of their
    preparation). Where the folder cannot be used, the arrays are built and a warning says so.
    """
    import diskcache

    try:
        with diskcache.Cache(str(cache_folder()), disk=_bytes_only(), eviction_policy="none") as cache:
            found = {name: _unpack(cache.get(f"{key}/{name}")) for name in names}
            arrays = {name: array for name, array in found.items() if array is not None}
            if len(arrays) == len(names):
                return arrays
            arrays = build()
            for name in names:
                cache.set(f"{key}/{name}", _pack(arrays[name]))
            return arrays
    except (sqlite3.Error, OSError, diskcache.Timeout) as error:
        if isinstance(error, FileNotFoundError):  # the source data is missing: nothing to build from
            raise
        warnings.warn(f"prepared data is not kept: {cache_folder()} cannot be used ({error})", stacklevel=2)
        return build()


def _bytes_only() -> type:
    """diskcache's storage, for bytes under text keys only: what would be pickled is refused both ways."""
    import diskcache
    from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

    class BytesOnly(diskcache.Disk):
        def store(self, value, read, key=UNKNOWN):
            if not isinstance(value, bytes):
                raise TypeError(f"only bytes are kept here, not {type(value).__name__}")
            return super().store(value, read, key=key)

        def fetch(self, mode, filename, value, read):
            allowed = mode in (MODE_RAW, MODE_BINARY)
            return super().fetch(mode, filename, value, read) if allowed else None

    return BytesOnly


def _pack(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    data = buffer.getvalue()
    return xxhash.xxh3_128_digest(data) + data


def _unpack(stored: object) -> np.ndarray | None:
    """The array, or None if it is absent or its checksum is wrong."""
    if not isinstance(stored, bytes) or xxhash.xxh3_128_digest(stored[16:]) != stored[:16]:
        return None
    return np.load(io.BytesIO(stored[16:]), allow_pickle=False)
