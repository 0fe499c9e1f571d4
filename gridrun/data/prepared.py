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
from typing import Any

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

    def kept(cache: Any) -> Arrays:
        found = {name: _unpack(cache.get(f"{key}/{name}")) for name in names}
        return {name: array for name, array in found.items() if array is not None}

    found = _with_cache(kept)
    if found and len(found) == len(names):
        return found
    arrays = build()
    _with_cache(lambda cache: [cache.set(f"{key}/{name}", _pack(arrays[name])) for name in names])
    return arrays


def _with_cache(use: Callable[[Any], Any]) -> Any:
    """What `use(cache)` returns; None, with a warning, where the folder cannot be used."""
    import diskcache

    try:
        with diskcache.Cache(str(cache_folder()), disk=_bytes_only(), eviction_policy="none") as cache:
            return use(cache)
    except (sqlite3.Error, OSError, diskcache.Timeout) as error:
        warnings.warn(f"prepared data is not kept: {cache_folder()} cannot be used ({error})", stacklevel=3)
        return None


def _bytes_only() -> type:
    """diskcache's storage, for bytes under text keys only: what would be pickled is refused both ways."""
    import diskcache
    from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

    class BytesOnly(diskcache.Disk):
        def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
            if not isinstance(value, bytes):
                raise TypeError(f"only bytes are kept here, not {type(value).__name__}")
            return super().store(value, read, key=key)

        def fetch(self, mode: int, filename: str, value: Any, read: bool) -> Any:
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
