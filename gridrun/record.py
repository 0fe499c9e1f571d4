"""One stored result or failure, with how it was obtained."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .codec import decode_result, outline_result
from .errors import DamagedFile, StoreError
from .hashing import digest
from .segments import FAILURE, Frame, Row

if TYPE_CHECKING:
    from .store import Store

EXTERNAL = b"x"  # the payload of a result that a custom saver keeps


@dataclass(frozen=True)
class Record:
    """One stored result or failure, with how it was obtained."""

    store: Store
    key: bytes
    frame: Frame
    row: Row

    @functools.cached_property
    def context(self) -> dict[str, Any]:
        return dict(json.loads(self.frame.contexts[self.row.context]))

    @functools.cached_property
    def _meta(self) -> dict[str, Any]:
        try:
            raw = self.frame.meta(self.row)
        except DamagedFile:  # the result itself is whole; doctor names the damage
            return {}
        return dict(json.loads(raw)) if raw else {}

    @property
    def id(self) -> str:
        return session_of(self.frame, self.row)

    @property
    def table(self) -> str:
        return str(self.context.get("table", ""))

    @property
    def function(self) -> str:
        return str(self.context.get("function", ""))

    @property
    def state(self) -> str:
        return "failed" if self.row.kind == FAILURE else "done"

    @property
    def generation(self) -> int:
        return self.row.generation

    @property
    def dependencies(self) -> dict[str, Any]:
        return dict(self._meta.get("dependencies", {}))

    @property
    def start(self) -> float:
        return float(self._meta.get("start", self.row.stamp))

    @property
    def seconds(self) -> float:
        return float(self._meta.get("seconds", 0.0))

    @property
    def peak_mb(self) -> float:
        return float(self._meta.get("peak_mb", 0.0))

    @property
    def error(self) -> dict[str, str] | None:
        """type, message and traceback of a failure; None for a result."""
        return json.loads(self.payload) if self.row.kind == FAILURE else None

    @property
    def payload(self) -> bytes:
        return self.frame.value(self.row)

    @property
    def folder(self) -> Path:
        return self.store.run_folder(self.id)

    def outline(self) -> Any:
        """The result with every array, tensor and frame as a short text: quick, whatever its size."""
        if self.row.kind == FAILURE or self.payload == EXTERNAL:
            return None
        return outline_result(self.payload, self.store.read_blob)

    def value(self) -> Any:
        """The result itself. Raises StoreError for a failure, a damaged file, or what a custom saver keeps."""
        if self.row.kind == FAILURE:
            raise StoreError(f"{self.id} failed: {(self.error or {}).get('message')}")
        if self.payload == EXTERNAL:
            raise StoreError(f"{self.id} is kept by the saver of {self.function}; run(..., run_mode='load') reads it")
        return decode_result(self.payload, self.store.read_blob)


def session_id(key: bytes, code: bytes, generation: int) -> str:
    """The id of a result: 32 hex digits for its key, the code that computed it, and its generation."""
    return digest(b"gridrun session 1\n" + key + code + generation.to_bytes(4, "big")).hex()


def session_of(frame: Frame, row: Row) -> str:
    """The id of a stored row."""
    return session_id(row.key, code_of(frame.contexts[row.context]), row.generation)


@functools.lru_cache(maxsize=4096)
def code_of(context: bytes) -> bytes:
    """The fingerprint of the code that computed the results of a context."""
    return bytes.fromhex(json.loads(context).get("code", ""))
