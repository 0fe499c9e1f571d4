"""A canonical, type-tagged encoding of values, and 128-bit keys over it.

Equal values encode equally on every machine and in every process; different values differently: 1, 1.0, True and "1"
are four encodings. Every encoding says where it ends, so a sequence of them can be read in one way only.
Tuples equal lists, sets and dicts do not depend on order, NumPy scalars equal Python's, arrays and tensors count by
dtype, shape and content, functions by identity, code and closure. What has no canonical encoding raises
UnhashableInput, which names the path to it; nothing is ever keyed by its str() or repr().
"""

from __future__ import annotations

import datetime
import enum
import functools
import pathlib
import struct
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import xxhash

from .errors import UnhashableInput
from .identity import identity, module_name

FORMAT = b"gridrun key 1\n"
Encoder = Callable[[Any], bytes]
digest = xxhash.xxh3_128_digest


class SessionId(str):
    """A result's id that run() put into a point: part of a key only where it is asked for by name."""

    __slots__ = ()


def key(value: Any, name: str = "value") -> bytes:
    """16 bytes that stand for `value`.

    >>> key([1, 2]) == key((1, 2)), len({key(v) for v in (1, 1.0, True, "1", b"1", None)})
    (True, 6)
    """
    return digest(FORMAT + encode(value, name))


def encode(value: Any, name: str = "value") -> bytes:
    """The canonical bytes of `value`; `name` is how an error calls it."""
    try:
        return encode_value(value)
    except (Unencodable, RecursionError) as error:
        raise UnhashableInput(_explain(value, name, error)) from None


def content(value: Any) -> bytes:
    """As `key`, for comparing values within this process: an object without an encoding equals only itself."""
    if type(value) is dict:  # session ids of a point count here
        return digest(b"".join(sorted(content(k) + content(v) for k, v in value.items())))
    try:
        return digest(encode_value(value))
    except (Unencodable, RecursionError):
        return digest(b"id%d" % id(value))


class Unencodable(Exception):
    """Internal: no encoding for this object; `encode` finds the path to it."""


# ------------------------------------------------------------------------------------------------------ plain values
def encode_value(value: Any) -> bytes:
    """The encoding of any value; raises Unencodable."""
    encoder = ENCODERS.get(type(value))
    return encoder(value) if encoder else _other(value)


def _int(value: int) -> bytes:
    return b"i%x;" % value


def _float(value: float) -> bytes:
    return b"f" + struct.pack(">d", value) if value == value else b"fNaN....."


def _str(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(raw), raw)


def _bytes(value: bytes) -> bytes:
    return b"b%d:%b" % (len(value), value)


def _list(value: list[Any] | tuple[Any, ...]) -> bytes:
    return b"l%d:%b" % (len(value), b"".join([encode_value(v) for v in value]))


def _dict(value: dict[Any, Any]) -> bytes:
    items = [encode_value(k) + encode_value(v) for k, v in value.items() if type(v) is not SessionId]
    items.sort()
    return b"d%d:%b" % (len(items), b"".join(items))


def _set(value: set[Any] | frozenset[Any]) -> bytes:
    return b"S%d:%b" % (len(value), b"".join(sorted(encode_value(v) for v in value)))


def _complex(value: complex) -> bytes:
    return b"c" + _float(value.real) + _float(value.imag)


def _tagged(tag: str) -> Encoder:
    """Encoder of a value that its text describes fully, told apart by `tag`."""
    return lambda value: b"t" + _str(tag) + _str(str(value))


ENCODERS: dict[type, Encoder] = {
    type(None): lambda value: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: _int,
    float: _float,
    str: _str,
    SessionId: _str,
    bytes: _bytes,
    bytearray: lambda value: _bytes(bytes(value)),
    complex: _complex,
    list: _list,
    tuple: _list,
    dict: _dict,
    set: _set,
    frozenset: _set,
    range: lambda value: b"r" + _list([value.start, value.stop, value.step]),
    type(...): lambda value: b"E",
    datetime.date: lambda value: b"t" + _str("date") + _str(value.isoformat()),
    datetime.datetime: lambda value: b"t" + _str("datetime") + _str(value.isoformat()),
    datetime.time: lambda value: b"t" + _str("time") + _str(value.isoformat()),
    datetime.timedelta: lambda value: b"t" + _str("timedelta") + _list([value.days, value.seconds, value.microseconds]),
    pathlib.PurePosixPath: _tagged("path"),
    pathlib.PosixPath: _tagged("path"),
}


def _other(value: Any) -> bytes:
    if isinstance(value, enum.Enum):
        return b"e" + _identity(type(value)) + _str(value.name)
    if isinstance(value, pathlib.PurePath):
        return b"t" + _str("path") + _str(value.as_posix())
    if isinstance(value, type):
        return b"C" + _identity(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _list(value)
    if isinstance(value, dict) and type(value).__module__ == "collections":
        return _dict(value)
    if hasattr(value, "__dataclass_fields__"):
        fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
        return b"D" + _identity(type(value)) + _dict(fields)
    for library, encoder in LIBRARIES.items():
        if library in sys.modules and (encoded := encoder(value)) is not None:
            _learn(library, value)
            return encoded
    return _callable(value)


def _learn(library: str, value: Any) -> None:
    """Know an array or tensor at once the next time: its exact type decides."""
    kind = type(value)
    if library == "torch" and kind is sys.modules["torch"].Tensor:
        ENCODERS[kind] = tensor_encoding
    elif library == "numpy" and kind is sys.modules["numpy"].ndarray:
        ENCODERS[kind] = _array


def _identity(thing: Any) -> bytes:
    return _str(module_name(thing)) + _str(thing.__qualname__)


# ----------------------------------------------------------------------------------------- numpy, pandas and torch
def _numpy(value: Any) -> bytes | None:
    import numpy as np

    if isinstance(value, np.generic):
        if isinstance(value, (np.datetime64, np.timedelta64, np.void)):
            return _array(np.asarray(value))
        return encode_value(value.item()) if type(value.item()) in ENCODERS else _array(np.asarray(value))
    if isinstance(value, np.dtype):
        return b"t" + _str("numpy.dtype") + _str(str(value))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.ufunc):
        return b"t" + _str("numpy.ufunc") + _str(value.__name__)
    return None


def _array(value: Any) -> bytes:
    import numpy as np

    if value.dtype == object:
        return b"O" + _list(value.shape) + _list(value.ravel().tolist())
    if isinstance(value, np.ma.MaskedArray) or value.dtype.hasobject:
        raise Unencodable
    if value.dtype.byteorder == ">" or (value.dtype.byteorder == "=" and sys.byteorder == "big"):
        value = value.astype(value.dtype.newbyteorder("<"))
    kind = str(value.dtype.descr) if value.dtype.names else value.dtype.str.replace("=", "<")
    raw: Any = np.ascontiguousarray(value).reshape(-1).view(np.uint8) if value.size else b""
    return b"A" + _str(kind) + _list(value.shape) + digest(raw)


def _torch(value: Any) -> bytes | None:
    import torch

    if isinstance(value, torch.Tensor):
        return tensor_encoding(value)
    if isinstance(value, torch.nn.Module):
        tensors = value.state_dict(keep_vars=True)
        return b"M" + _identity(type(value)) + _dict(dict(tensors))
    if isinstance(value, (torch.dtype, torch.device)):
        return b"t" + _str(type(value).__name__) + _str(str(value))
    return None


class _Memo:
    """Encodings of tensors that came from or went to the store, as long as the tensor lives unchanged."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[weakref.ref[Any], int, bytes]] = {}

    def get(self, tensor: Any) -> bytes | None:
        entry = self.known.get(id(tensor))
        if entry is None or entry[0]() is not tensor:
            return None
        return entry[2] if entry[1] == _version(tensor) else None

    def put(self, tensor: Any, encoded: bytes) -> None:
        if tensor.is_inference():
            return  # counts no versions, so a later change would go unseen
        mark = id(tensor)
        self.known[mark] = (weakref.ref(tensor, lambda _: self.known.pop(mark, None)), _version(tensor), encoded)


def _version(tensor: Any) -> int:
    """How often a tensor was changed in place."""
    return int(tensor._version)


MEMO = _Memo()


def tensor_encoding(tensor: Any) -> bytes:
    """dtype, shape and contiguous CPU bytes of a tensor; remembered ones are not hashed again.

    A tensor is remembered with its version counter, which every in-place operation raises; writes through `.data`
    or `.numpy()` go unseen.
    """
    return MEMO.get(tensor) or fresh_tensor_encoding(tensor)


def fresh_tensor_encoding(tensor: Any) -> bytes:
    """As tensor_encoding, always hashed anew."""
    return b"X" + _str(str(tensor.dtype)) + _list(list(tensor.shape)) + digest(tensor_bytes(tensor))


def remember(tensor: Any, encoded: bytes) -> None:
    """Note that `encoded` is the encoding of this tensor as it is now."""
    MEMO.put(tensor, encoded)


def tensor_bytes(tensor: Any) -> Any:
    """The contiguous CPU bytes of a tensor, as a buffer; copies nothing that already is contiguous on the CPU."""
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        raise Unencodable
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy() if plain.numel() else b""


def _pandas(value: Any) -> bytes | None:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        columns = [[name, _series(value.iloc[:, i])] for i, name in enumerate(value.columns)]
        return b"P" + _list([columns, _series(value.index.to_series())])
    if isinstance(value, pd.Series):
        return b"p" + _list([value.name, _series(value), _series(value.index.to_series())])
    if isinstance(value, pd.Index):
        return b"I" + _series(value.to_series())
    if isinstance(value, (pd.Timestamp, pd.Timedelta)):
        return b"t" + _str(type(value).__name__) + _str(value.isoformat())
    return b"NA" if value is pd.NA else None


def _series(column: Any) -> bytes:
    values = column.to_numpy()
    return _str(str(column.dtype)) + (_list(values.tolist()) if values.dtype == object else _array(values))


LIBRARIES: dict[str, Callable[[Any], bytes | None]] = {"numpy": _numpy, "torch": _torch, "pandas": _pandas}


# --------------------------------------------------------------------------------------------------------- functions
def _callable(value: Any) -> bytes:
    if isinstance(value, functools.partial):
        return b"q" + _list([value.func, list(value.args), dict(value.keywords)])
    if isinstance(value, types.MethodType):
        return b"m" + _list([value.__func__, value.__self__])
    if isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)):
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, (type, types.ModuleType)):
            return b"m" + _list([type(owner), value.__name__, owner])
        return b"B" + _str(getattr(value, "__module__", None) or "") + _str(value.__qualname__)
    if isinstance(value, types.ModuleType):
        return b"t" + _str("module") + _str(value.__name__)
    if isinstance(value, types.FunctionType):
        return _function(value)
    raise Unencodable


def _function(function: types.FunctionType) -> bytes:
    from .fingerprint import fingerprint

    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    closure = {name: cell.cell_contents for name, cell in cells.items() if cell.cell_contents is not function}
    return b"L" + _str(identity(function)) + fingerprint(function).digest + _dict(closure)


# ------------------------------------------------------------------------------------------------------------ errors
def _explain(value: Any, name: str, error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return f"{name} contains itself or is nested too deeply to be part of a key"
    path, culprit = _culprit(value, name)
    kind = f"{type(culprit).__module__}.{type(culprit).__qualname__}"
    return (
        f"{path} is a {kind}, which has no canonical encoding, so it cannot be part of a key; "
        "name what the result depends on with cachable(dependencies=[...]), or pass plain data"
    )


def _culprit(value: Any, path: str) -> tuple[str, Any]:
    """Walk down to the first part that cannot be encoded."""
    for step, part in _parts(value):
        try:
            encode_value(part)
        except Unencodable:
            return _culprit(part, f"{path}{step}")
    return path, value


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f".{k}" if isinstance(k, str) else f"[{k!r}]", v) for k, v in value.items()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(f"[{i}]", v) for i, v in enumerate(value)]
    if isinstance(value, functools.partial):
        return [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    if hasattr(value, "__dataclass_fields__"):
        return [(f".{name}", getattr(value, name)) for name in value.__dataclass_fields__]
    if isinstance(value, types.FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or ())
        return [(f".<closure>.{name}", cell.cell_contents) for name, cell in cells]
    return []
