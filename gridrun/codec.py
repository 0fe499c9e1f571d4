"""Results as bytes, and back with their types. Nothing here executes what it reads.

A payload is one tag and its data. Plain numbers and texts have a tag of their own; JSON-like values are JSON ("j");
all else is a JSON tree in which {"$": kind, ...} stands for what JSON lacks ("J", followed by small binary parts).
Large parts become files of their own (.npy, .safetensors, .json), named by the digest of their content.
"""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import xxhash

from .errors import StoreError, UnstorableResult
from .hashing import SessionId, fresh_tensor_encoding, remember

LONG_INT_BITS = 10_000  # decimal text of longer ones is refused by Python
INLINE_BYTES = 4096  # larger parts get a file of their own
ReadFile = Callable[[str], bytearray]


@dataclass
class Blob:
    """A file to write: its bytes in pieces, and its content-addressed name."""

    pieces: list[Any]
    suffix: str
    name: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        hasher = xxhash.xxh3_128()
        for piece in self.pieces:
            hasher.update(piece)
            self.size += memoryview(piece).nbytes
        self.name = hasher.hexdigest() + self.suffix


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
    writer = _Writer()
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
    """The value of a payload; `read_file` gives the verified bytes of a blob by its name."""
    tag = data[:1]
    plain = READERS.get(tag)
    if plain:
        return plain(data)
    if tag != b"J":
        raise StoreError(f"a result of unknown format {tag!r}; a newer gridrun may have written it")
    (length,) = struct.unpack_from("<I", data, 1)
    reader = _Reader(data[5 + length :], read_file)
    return reader.value(json.loads(data[5 : 5 + length]))


def outline_result(data: bytes, read_file: ReadFile) -> Any:
    """The value of a payload with every array, tensor and frame as a short text; reads no large file but JSON."""
    if data[:1] != b"J":
        return decode_result(data, read_file)
    (length,) = struct.unpack_from("<I", data, 1)
    return _Outline(b"", read_file).value(json.loads(data[5 : 5 + length]))


def files_of(data: bytes, read_file: ReadFile) -> list[str]:
    """Names of the files that a payload needs."""
    if data[:1] != b"J":
        return []
    (length,) = struct.unpack_from("<I", data, 1)
    names: list[str] = []
    pending: list[Any] = [json.loads(data[5 : 5 + length])]
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


# ------------------------------------------------------------------------------------------------------------- writing
class _Writer:
    """Builds the JSON tree of a value and collects its binary parts."""

    def __init__(self) -> None:
        self.special = False
        self.small: list[bytes] = []
        self.offset = 0
        self.blobs: list[Blob] = []
        self.open: set[int] = set()
        self.tensors: dict[str, Any] = {}

    def tree(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind is int and value.bit_length() > LONG_INT_BITS:
            self.special = True
            return {"$": "int", "v": f"{value:x}"}
        if kind in (str, int, float, bool, type(None)):
            return value
        if kind is SessionId:
            return str(value)
        if kind in (list, dict, tuple, set, frozenset, OrderedDict):
            return self._container(value, kind, path)
        self.special = True
        if kind in SIMPLE:
            return {"$": kind.__name__, "v": SIMPLE[kind](value)}
        if isinstance(value, pathlib.PurePath):
            return {"$": "path", "v": str(value)}
        for library, write in WRITERS.items():
            if library in sys.modules and (node := write(self, value, path)) is not None:
                return node
        raise UnstorableResult(_refusal(path, value))

    def finish(self, tree: Any) -> Any:
        """Put all tensors of the value into one safetensors part."""
        if not self.tensors:
            return tree
        from safetensors.torch import save

        return {"$": "with tensors", **self.bytes([save(self.tensors)], ".safetensors"), "v": tree}

    def _container(self, value: Any, kind: type, path: str) -> Any:
        if id(value) in self.open:
            raise UnstorableResult(f"{path} contains itself; return plain data")
        self.open.add(id(value))
        try:
            if kind is dict and all(type(k) is str and k != "$" for k in value):
                return {k: self.tree(v, f"{path}.{k}") for k, v in value.items()}
            if kind is list:
                return [self.tree(v, f"{path}[{i}]") for i, v in enumerate(value)]
            self.special = True
            if kind in (dict, OrderedDict):
                pairs = [[self.tree(k, f"a key of {path}"), self.tree(v, f"{path}[{k!r}]")] for k, v in value.items()]
                return {"$": kind.__name__, "v": pairs}
            return {"$": kind.__name__, "v": [self.tree(v, f"{path}[{i}]") for i, v in enumerate(value)]}
        finally:
            self.open.discard(id(value))

    def bytes(self, pieces: list[Any], suffix: str) -> dict[str, Any]:
        """Put binary data beside the tree (small) or into a file (large); say where it is."""
        size = sum(memoryview(p).nbytes for p in pieces)
        if size <= INLINE_BYTES:
            self.small.append(b"".join(bytes(p) for p in pieces))
            self.offset += size
            return {"at": [self.offset - size, size]}
        blob = Blob(pieces, suffix)
        self.blobs.append(blob)
        return {"file": blob.name}


def _refusal(path: str, value: Any) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    hint = " (of a module, return its state_dict())" if hasattr(value, "state_dict") else ""
    return (
        f"{path} is a {kind}, which the store keeps in no safe format{hint}; return plain data (numbers, text, lists, "
        "dicts, arrays, tensors, frames), or give cachable(saver=..., loader=...)"
    )


SIMPLE: dict[type, Callable[[Any], Any]] = {
    bytes: lambda v: base64.b64encode(v).decode(),
    complex: lambda v: [v.real, v.imag],
    range: lambda v: [v.start, v.stop, v.step],
    type(...): lambda v: None,
    datetime.date: lambda v: v.isoformat(),
    datetime.datetime: lambda v: v.isoformat(),
    datetime.time: lambda v: v.isoformat(),
    datetime.timedelta: lambda v: [v.days, v.seconds, v.microseconds],
}


def _write_numpy(writer: _Writer, value: Any, path: str) -> Any:
    import numpy as np

    if isinstance(value, (np.str_, np.bytes_)):
        return {"$": "np.text", "bytes": isinstance(value, np.bytes_), "v": writer.tree(value.item(), path)}
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        where = writer.bytes([np.asarray(value).tobytes()], ".npy")
        return {"$": "scalar", "dtype": value.dtype.str, **where}
    if isinstance(value, np.dtype) and value.names is None:
        return {"$": "dtype", "v": value.str}
    if type(value) is not np.ndarray:
        return None
    if value.dtype.hasobject:
        raise UnstorableResult(f"{path} is an array of Python objects; return a list, or an array of numbers or text")
    packed = np.ascontiguousarray(value)
    if not value.dtype.itemsize:
        return {"$": "blank", "dtype": value.dtype.str, "shape": list(value.shape)}
    if value.nbytes <= INLINE_BYTES and value.dtype.names is None:
        where = writer.bytes([packed.tobytes()], ".npy")
        return {"$": "array", "dtype": value.dtype.str, "shape": list(value.shape), **where}
    where = writer.bytes([_npy_header(packed, value.shape), _raw(packed)], ".npy")
    return {"$": "npy", "dtype": value.dtype.str, "shape": list(value.shape), **where}


def _npy_header(array: Any, shape: tuple[int, ...]) -> bytes:
    import io

    import numpy as np

    head = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(head, described)
    return head.getvalue()


def _raw(array: Any) -> Any:
    import numpy as np

    return array.reshape(-1).view(np.uint8).data if array.size else b""


def _write_torch(writer: _Writer, value: Any, path: str) -> Any:
    import torch

    if isinstance(value, torch.Size):
        return {"$": "torch.Size", "v": list(value)}
    if isinstance(value, (torch.dtype, torch.device)):
        return {"$": f"torch.{type(value).__name__}", "v": str(value).replace("torch.", "")}
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return None
    if value.layout != torch.strided or value.is_quantized or value.device.type == "meta":
        raise UnstorableResult(f"{path} is a sparse, quantised or meta tensor; return a dense one")
    if value.dtype == torch.complex128:
        raise UnstorableResult(f"{path} is of {value.dtype}, which safetensors cannot hold; return view_as_real(...)")
    plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    encoded = fresh_tensor_encoding(plain)
    remember(value, encoded)
    name = f"{len(writer.tensors)}"
    writer.tensors[name] = plain.clone() if plain.data_ptr() == value.data_ptr() and _shares(writer, plain) else plain
    about = {"dtype": str(value.dtype).replace("torch.", ""), "shape": list(value.shape)}
    node = {"$": "tensor", "name": name, "digest": encoded.hex(), **about}
    return {**node, "parameter": value.requires_grad} if type(value) is torch.nn.Parameter else node


def _shares(writer: _Writer, tensor: Any) -> bool:
    """Whether another tensor of the value lies in the same memory; safetensors wants each on its own."""
    start = tensor.untyped_storage().data_ptr()
    return any(t.untyped_storage().data_ptr() == start for t in writer.tensors.values())


def _write_pandas(writer: _Writer, value: Any, path: str) -> Any:
    import pandas as pd

    if not isinstance(value, (pd.DataFrame, pd.Series)):
        return None
    from .frame_codec import frame_parts

    return {"$": type(value).__name__, "v": writer.tree(frame_parts(value, path), path)}


WRITERS: dict[str, Callable[[_Writer, Any, str], Any]] = {
    "numpy": _write_numpy,
    "torch": _write_torch,
    "pandas": _write_pandas,
}


# ------------------------------------------------------------------------------------------------------------- reading
class _Reader:
    """Builds a value from its JSON tree."""

    def __init__(self, small: bytes, read_file: ReadFile) -> None:
        self.small = small
        self.read_file = read_file
        self.tensors: dict[str, Any] = {}

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(n) for n in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            return {k: self.value(v) for k, v in node.items()}
        build = BUILDERS.get(node["$"])
        if build is None:
            raise StoreError(f"a result part of unknown kind {node['$']!r}; a newer gridrun may have written it")
        return build(self, node)

    def bytes(self, node: dict[str, Any]) -> bytearray:
        """Writable bytes of a binary part."""
        if "file" in node:
            return self.read_file(node["file"])
        start, size = node["at"]
        return bytearray(self.small[start : start + size])

    def all(self, node: dict[str, Any]) -> list[Any]:
        return [self.value(n) for n in node["v"]]

    def frame(self, node: dict[str, Any]) -> Any:
        from .frame_codec import frame_from

        return frame_from(node["$"], self.value(node["v"]))


def _read_scalar(reader: _Reader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(bytes(reader.bytes(node)), np.dtype(node["dtype"]))[0]


def _read_text(reader: _Reader, node: dict[str, Any]) -> Any:
    import numpy as np

    return (np.bytes_ if node["bytes"] else np.str_)(reader.value(node["v"]))


def _read_blank(reader: _Reader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.zeros(node["shape"], node["dtype"])


def _read_array(reader: _Reader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(reader.bytes(node), np.dtype(node["dtype"])).reshape(node["shape"])


def _read_npy(reader: _Reader, node: dict[str, Any]) -> Any:
    import io

    import numpy as np

    raw = reader.bytes(node)
    head = io.BytesIO(raw[:65536])
    np.lib.format.read_magic(head)
    shape, _, dtype = np.lib.format.read_array_header_2_0(head)
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(raw, dtype, count, offset=head.tell()).reshape(shape) if count else np.empty(shape, dtype)


def _read_tensors(reader: _Reader, node: dict[str, Any]) -> Any:
    import torch  # noqa: F401  (safetensors gives torch tensors)
    from safetensors.torch import load

    reader.tensors = load(bytes(reader.bytes(node)))
    return reader.value(node["v"])


def _read_tensor(reader: _Reader, node: dict[str, Any]) -> Any:
    import torch

    tensor = reader.tensors[node["name"]]
    if "parameter" in node:
        tensor = torch.nn.Parameter(tensor, requires_grad=node["parameter"])
    remember(tensor, bytes.fromhex(node["digest"]))
    return tensor


def _numpy_dtype(reader: _Reader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.dtype(node["v"])


def _torch_size(reader: _Reader, node: dict[str, Any]) -> Any:
    import torch

    return torch.Size(node["v"])


def _torch_dtype(reader: _Reader, node: dict[str, Any]) -> Any:
    import torch

    found = getattr(torch, node["v"], None)
    if not isinstance(found, torch.dtype):
        raise StoreError(f"no torch dtype is called {node['v']!r}")
    return found


def _torch_device(reader: _Reader, node: dict[str, Any]) -> Any:
    import torch

    return torch.device(node["v"])


BUILDERS: dict[str, Callable[[_Reader, dict[str, Any]], Any]] = {
    "tuple": lambda r, n: tuple(r.all(n)),
    "list": lambda r, n: r.all(n),
    "set": lambda r, n: set(r.all(n)),
    "frozenset": lambda r, n: frozenset(r.all(n)),
    "dict": lambda r, n: {r.value(k): r.value(v) for k, v in n["v"]},
    "OrderedDict": lambda r, n: OrderedDict((r.value(k), r.value(v)) for k, v in n["v"]),
    "file": lambda r, n: r.value(json.loads(bytes(r.bytes(n)))),
    "int": lambda r, n: int(n["v"], 16),
    "bytes": lambda r, n: base64.b64decode(n["v"]),
    "complex": lambda r, n: complex(*n["v"]),
    "range": lambda r, n: range(*n["v"]),
    "ellipsis": lambda r, n: ...,
    "date": lambda r, n: datetime.date.fromisoformat(n["v"]),
    "datetime": lambda r, n: datetime.datetime.fromisoformat(n["v"]),
    "time": lambda r, n: datetime.time.fromisoformat(n["v"]),
    "timedelta": lambda r, n: datetime.timedelta(*n["v"]),
    "path": lambda r, n: pathlib.Path(n["v"]),
    "scalar": _read_scalar,
    "array": _read_array,
    "npy": _read_npy,
    "np.text": _read_text,
    "blank": _read_blank,
    "dtype": _numpy_dtype,
    "with tensors": _read_tensors,
    "tensor": _read_tensor,
    "torch.Size": _torch_size,
    "torch.dtype": _torch_dtype,
    "torch.device": _torch_device,
    "DataFrame": lambda r, n: r.frame(n),
    "Series": lambda r, n: r.frame(n),
}


class _Outline(_Reader):
    """Builds a value without its binary parts."""

    def value(self, node: Any) -> Any:
        kind = node.get("$") if isinstance(node, dict) else None
        if kind in OUTLINES:
            return OUTLINES[kind](self, node)
        return super().value(node)


def _about(what: str, node: dict[str, Any]) -> str:
    return f"{what} {'x'.join(map(str, node['shape'])) or 'scalar'} {node['dtype'].lstrip('<|=')}"


OUTLINES: dict[str, Callable[[_Reader, dict[str, Any]], Any]] = {
    "scalar": lambda r, n: f"{n['dtype']} scalar",
    "array": lambda r, n: _about("array", n),
    "npy": lambda r, n: _about("array", n),
    "np.text": lambda r, n: r.value(n["v"]),
    "blank": lambda r, n: _about("array", n),
    "dtype": lambda r, n: n["v"],
    "with tensors": lambda r, n: r.value(n["v"]),
    "tensor": lambda r, n: _about("tensor", n),
    "torch.Size": lambda r, n: tuple(n["v"]),
    "torch.dtype": lambda r, n: f"torch.{n['v']}",
    "torch.device": lambda r, n: n["v"],
    "DataFrame": lambda r, n: "DataFrame",
    "Series": lambda r, n: "Series",
}
