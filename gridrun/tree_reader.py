"""Values from their JSON tree and its binary parts; see codec.py. Nothing here executes what it reads."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .errors import StoreError
from .hashing import remember

ReadFile = Callable[[str], bytearray]


class TreeReader:
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


def _read_scalar(reader: TreeReader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(bytes(reader.bytes(node)), np.dtype(node["dtype"]))[0]


def _read_text(reader: TreeReader, node: dict[str, Any]) -> Any:
    import numpy as np

    return (np.bytes_ if node["bytes"] else np.str_)(reader.value(node["v"]))


def _read_blank(reader: TreeReader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.zeros(node["shape"], node["dtype"])


def _read_array(reader: TreeReader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(reader.bytes(node), np.dtype(node["dtype"])).reshape(node["shape"])


def _read_npy(reader: TreeReader, node: dict[str, Any]) -> Any:
    import io

    import numpy as np

    raw = reader.bytes(node)
    head = io.BytesIO(raw[:65536])
    np.lib.format.read_magic(head)
    shape, _, dtype = np.lib.format.read_array_header_2_0(head)
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(raw, dtype, count, offset=head.tell()).reshape(shape) if count else np.empty(shape, dtype)


def _read_tensors(reader: TreeReader, node: dict[str, Any]) -> Any:
    import torch  # noqa: F401  (safetensors gives torch tensors)
    from safetensors.torch import load

    reader.tensors = load(bytes(reader.bytes(node)))
    return reader.value(node["v"])


def _read_tensor(reader: TreeReader, node: dict[str, Any]) -> Any:
    import torch

    tensor = reader.tensors[node["name"]]
    if "parameter" in node:
        tensor = torch.nn.Parameter(tensor, requires_grad=node["parameter"])
    elif node.get("requires_grad"):
        tensor.requires_grad_()
    remember(tensor, bytes.fromhex(node["digest"]))
    return tensor


def _numpy_dtype(reader: TreeReader, node: dict[str, Any]) -> Any:
    import numpy as np

    return np.dtype(node["v"])


def _torch_size(reader: TreeReader, node: dict[str, Any]) -> Any:
    import torch

    return torch.Size(node["v"])


def _torch_dtype(reader: TreeReader, node: dict[str, Any]) -> Any:
    import torch

    found = getattr(torch, node["v"], None)
    if not isinstance(found, torch.dtype):
        raise StoreError(f"no torch dtype is called {node['v']!r}")
    return found


def _torch_device(reader: TreeReader, node: dict[str, Any]) -> Any:
    import torch

    return torch.device(node["v"])


BUILDERS: dict[str, Callable[[TreeReader, dict[str, Any]], Any]] = {
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


class OutlineReader(TreeReader):
    """Builds a value without its binary parts."""

    def value(self, node: Any) -> Any:
        kind = node.get("$") if isinstance(node, dict) else None
        if kind in OUTLINES:
            return OUTLINES[kind](self, node)
        return super().value(node)


def _about(what: str, node: dict[str, Any]) -> str:
    return f"{what} {'x'.join(map(str, node['shape'])) or 'scalar'} {node['dtype'].lstrip('<|=')}"


OUTLINES: dict[str, Callable[[TreeReader, dict[str, Any]], Any]] = {
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
