"""Results as bytes, and back with their types. Nothing here executes what it reads.

A payload is one tag and its data. Plain numbers and texts have a tag of their own; JSON-like values are JSON ("j");
all else is a JSON tree in which {"$": kind, ...} stands for what JSON lacks ("J", followed by small binary parts).
Large parts become files of their own (.npy, .safetensors, .json), named by the digest of their content.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import StoreError, UnstorableResult
from .hashing import SessionId
from .tree_reader import OutlineReader, ReadFile, TreeReader
from .tree_writer import INLINE_BYTES, Blob, TreeWriter


@dataclass
class Payload:
    """What a record keeps of a result, and the files that go beside it."""

    data: bytes
    blobs: list[Blob] = field(default_factory=list)


def encode_result(value: Any, name: str = "the result") -> Payload:
    """The payload of a result. Raises UnstorableResult, naming the path, for what no safe format holds."""
    plain = PLAIN.get(type(value))
    if plain:
        return Payload(plain(value))
    writer = TreeWriter()
    try:
        tree = writer.finish(writer.tree(value, name))
    except RecursionError:
        raise UnstorableResult(f"{name} is nested too deeply to be stored; return flat data") from None
    text = json.dumps(tree, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(text) > INLINE_BYTES:
        blob = Blob([text], ".json")
        writer.blobs.append(blob)
        text = json.dumps({"$": "file", "file": blob.name}).encode()
    elif not writer.special:
        return Payload(b"j" + text)
    return Payload(b"J" + struct.pack("<I", len(text)) + text + b"".join(writer.small), writer.blobs)


def decode_result(data: bytes, read_file: ReadFile) -> Any:
    """The value of a payload; `read_file` gives the verified bytes of a blob by its name.

    Raises StoreError for bytes that this gridrun does not write.
    """
    try:
        plain = READERS.get(data[:1])
        if plain:
            return plain(data)
        if data[:1] != b"J":
            raise StoreError(f"a result of unknown format {data[:1]!r}; a newer gridrun may have written it")
        tree, small = _parts(data)
        return TreeReader(small, read_file).value(tree)
    except (StoreError, MemoryError):
        raise
    except Exception as error:  # whatever a forged or foreign payload makes a format's reader say
        kind = type(error).__name__
        raise StoreError(f"a stored result cannot be read ({kind}: {error}); run_mode='force' replaces it") from error


def _parts(data: bytes) -> tuple[Any, bytes]:
    """The JSON tree of a payload "J", and the small binary parts that follow it."""
    (length,) = struct.unpack_from("<I", data, 1)
    return json.loads(data[5 : 5 + length]), data[5 + length :]


def outline_result(data: bytes, read_file: ReadFile) -> Any:
    """The value of a payload with every array, tensor and frame as a short text; reads no large file but JSON."""
    if data[:1] != b"J":
        return decode_result(data, read_file)
    return OutlineReader(b"", read_file).value(_parts(data)[0])


def files_of(data: bytes, read_file: ReadFile) -> list[str]:
    """Names of the files that a payload needs."""
    if data[:1] != b"J":
        return []
    names: list[str] = []
    pending: list[Any] = [_parts(data)[0]]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if "$" in node and isinstance(node.get("file"), str):
                names.append(node["file"])
                if node["$"] == "file":
                    pending.append(json.loads(bytes(read_file(node["file"]))))
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return names


PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda v: b"N",
    bool: lambda v: b"T" if v else b"F",
    int: lambda v: b"i%x" % v,
    float: lambda v: b"f" + struct.pack("<d", v),
    str: lambda v: b"s" + v.encode("utf-8", "surrogatepass") if len(v) <= INLINE_BYTES // 4 else _long(v),
    SessionId: lambda v: b"s" + v.encode(),
}
READERS: dict[bytes, Callable[[bytes], Any]] = {
    b"N": lambda data: None,
    b"T": lambda data: True,
    b"F": lambda data: False,
    b"i": lambda data: int(data[1:], 16),
    b"f": lambda data: struct.unpack_from("<d", data, 1)[0],
    b"s": lambda data: data[1:].decode("utf-8", "surrogatepass"),
    b"j": lambda data: json.loads(data[1:]),
}


def _long(text: str) -> bytes:
    return b"j" + json.dumps(text).encode()
