"""Values as a JSON tree with binary parts beside it; see codec.py."""

from __future__ import annotations

import base64
import datetime
import pathlib
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xxhash

from .errors import UnstorableResult
from .hashing import SessionId, fresh_tensor_encoding, remember

LONG_INT_BITS = 10_000  # decimal text of longer ones is refused by Python
INLINE_BYTES = 4096  # larger parts get a file of their own


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


class TreeWriter:
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


def _write_numpy(writer: TreeWriter, value: Any, path: str) -> Any:
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


def _write_torch(writer: TreeWriter, value: Any, path: str) -> Any:
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
    if type(value) is torch.nn.Parameter:
        return {**node, "parameter": value.requires_grad}
    return {**node, "requires_grad": True} if value.requires_grad else node


def _shares(writer: TreeWriter, tensor: Any) -> bool:
    """Whether another tensor of the value lies in the same memory; safetensors wants each on its own."""
    start = tensor.untyped_storage().data_ptr()
    return any(t.untyped_storage().data_ptr() == start for t in writer.tensors.values())


def _write_pandas(writer: TreeWriter, value: Any, path: str) -> Any:
    import pandas as pd

    if not isinstance(value, (pd.DataFrame, pd.Series)):
        return None
    from .frame_codec import frame_parts

    return {"$": type(value).__name__, "v": writer.tree(frame_parts(value, path), path)}


WRITERS: dict[str, Callable[[TreeWriter, Any, str], Any]] = {
    "numpy": _write_numpy,
    "torch": _write_torch,
    "pandas": _write_pandas,
}
