"""Results as bytes and back: types kept, nothing executed, and what is no data refused."""

from __future__ import annotations

import collections
import datetime
import io
import json
import pathlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gridrun import hashing
from gridrun.codec import INLINE_BYTES, decode_result, encode_result, files_of
from gridrun.errors import StoreError, UnstorableResult


def there_and_back(value: Any) -> Any:
    payload = encode_result(value)
    files = {blob.name: b"".join(bytes(piece) for piece in blob.pieces) for blob in payload.blobs}
    assert set(files_of(payload.data, lambda name: bytearray(files[name]))) == set(files)
    return decode_result(payload.data, lambda name: bytearray(files[name]))


def same(one: Any, other: Any) -> bool:
    """Equal by content and type, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(a, b) for pair in zip(one.items(), other.items()) for a, b in zip(*pair)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.requires_grad == other.requires_grad and torch.equal(one, other)
    if isinstance(one, (pd.DataFrame, pd.Series)):
        return one.equals(other) and str(one) == str(other)
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 2**200, 0.1, -0.0, float("nan"), float("-inf"), "", "text", "\ud800\0", "x" * 10_000,
        b"", b"\0\xff", 1j, ..., range(1, 9, 2), [], [1, [2.0, "3"]], (), (1, (2,)), [(1,), [1]], {}, {"a": {"b": [1]}},
        {"b": 1, "a": 2}, {1: "a", "1": "b"}, {(1, 2): 3, None: 4, 1.5: 5}, {"$": "tuple", "v": [1]}, {"$": {"$": 1}},
        {1, 2}, frozenset({"a"}), collections.OrderedDict(b=1, a=2), pathlib.Path("a/b"), datetime.date(2020, 2, 29),
        datetime.datetime(2020, 1, 1, 2, 3, 4, 5), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
        datetime.time(1, 2), datetime.timedelta(-1, 5, 7), list(range(5000)), ["y" * 5000, "z"],
    ],
    ids=lambda value: f"{type(value).__name__}-{repr(value)[:20]!a}",
)  # fmt: skip
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    assert same(there_and_back(value), value)
    assert same(there_and_back({"in": (value,)}), {"in": (value,)})


@pytest.mark.parametrize(
    "value",
    [
        np.bool_(True), np.int8(-3), np.uint64(2**63), np.float16(0.1), np.float32("nan"), np.float64(1),
        np.complex64(1j), np.str_("abc"), np.str_(""), np.bytes_(b"ab"), np.datetime64("2020-01-01"),
        np.datetime64("NaT"),
        np.timedelta64(3, "D"), np.longdouble(1.5), np.dtype("f4"),
        np.array(5), np.zeros((0, 3)), np.arange(6).reshape(2, 3), np.arange(10)[::-2], np.eye(3, order="F"),
        np.array(["a", "bcd"]), np.array([b"a"]), np.array(["2020", "NaT"], "M8[Y]"), np.arange(3, dtype=">i4"),
        np.array([True, False]), np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]), np.arange(5000.0),
        np.zeros((0, 0, 5000)), np.random.default_rng(0).normal(size=(70, 71)).astype("f2"),
        np.empty(3, "U0"), np.array([1j, np.nan]),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.dtype if hasattr(value, 'dtype') else value}",
)  # fmt: skip
def test_numpy_values_come_back_with_dtype_shape_and_bytes(value: Any) -> None:
    assert same(there_and_back(value), value)
    assert same(there_and_back([value, {"again": value}]), [value, {"again": value}])


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(1.5), torch.zeros(0, 3), torch.arange(6).reshape(2, 3), torch.ones(3).expand(2, 3),
        torch.arange(10)[2:8:2], torch.zeros(2, dtype=torch.bfloat16), torch.tensor([True]), torch.tensor([1, 2j]),
        torch.linspace(0, 1, 3600).view(60, 60), torch.nn.Parameter(torch.ones(2)),
        torch.nn.Parameter(torch.ones(2), requires_grad=False),
        torch.float64, torch.device("cpu"), torch.Size([2, 3]), torch.tensor(3, dtype=torch.uint8),
        torch.ones(2, 2, dtype=torch.float8_e4m3fn).float(),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', value)}",
)  # fmt: skip
def test_torch_values_come_back(value: Any) -> None:
    assert same(there_and_back(value), value)
    assert same(there_and_back({"a": (value, value)}), {"a": (value, value)})


def test_a_state_dict_and_tensors_that_share_memory() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(40, 40), torch.nn.BatchNorm1d(40))
    back = there_and_back({"net": net.state_dict(), "epoch": 3})
    assert type(back["net"]) is collections.OrderedDict
    assert all(torch.equal(back["net"][k], v) for k, v in net.state_dict().items())
    base = torch.arange(10.0)
    one, other = there_and_back([base[:5], base[2:7]])
    one[3] = -1
    assert other[1] == 3.0  # no longer the same memory


FRAMES = {
    "plain": pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", "y"], "d": [True, False]}),
    "index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="who")),
    "dates": pd.DataFrame({"t": pd.date_range("2020", periods=3), "d": pd.to_timedelta([1, 2, 3], "h")}),
    "category": pd.DataFrame({"k": pd.Categorical(["b", "a", "b"], ["b", "a"], ordered=True)}),
    "missing text": pd.DataFrame({"s": ["x", None]}),
    "number names": pd.DataFrame(np.eye(2), columns=[0, 1]),
    "twice the same name": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.empty(0, "f4")}),
    "large": pd.DataFrame(np.random.default_rng(0).normal(size=(500, 4)), columns=list("abcd")),
    "series": pd.Series([1, 2, 3], name="s", index=[3, 5, 7]),
    "nullable": pd.DataFrame({"i": pd.array([1, None], dtype="Int64")}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_come_back_as_columns(name: str) -> None:
    frame = FRAMES[name]
    check = pd.testing.assert_frame_equal if isinstance(frame, pd.DataFrame) else pd.testing.assert_series_equal
    check(there_and_back(frame), frame, check_freq=False)  # type: ignore[operator]


def test_a_frame_that_columns_do_not_hold_is_refused() -> None:
    many = pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)]))
    with pytest.raises(UnstorableResult, match="MultiIndex; return it with reset_index"):
        encode_result(many)
    with pytest.raises(UnstorableResult):
        encode_result(pd.DataFrame({"o": [object()]}))


@pytest.mark.parametrize(
    "value",
    [object(), lambda: 1, int, torch.nn.Linear(1, 1), {"a": {1: [object()]}}, np.ma.array([1], mask=[1]),
     collections.Counter("a"), collections.namedtuple("P", "a")(1), torch.ones(1).to_sparse(), iter([]),
     Exception("x")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_would_not_come_back_as_it_was_is_refused(value: Any) -> None:
    with pytest.raises(UnstorableResult, match="return|saver="):
        encode_result(value)
    assert issubclass(UnstorableResult, TypeError)


def test_large_parts_become_files_named_by_their_content() -> None:
    big = np.arange(INLINE_BYTES + 1, dtype=np.uint8)
    one, other = encode_result([big, 1]), encode_result({"x": big.copy()})
    assert [b.name for b in one.blobs] == [b.name for b in other.blobs]
    assert len(one.blobs) == 1 and one.blobs[0].name.endswith(".npy") and len(one.data) < 200
    assert np.array_equal(np.load(io.BytesIO(b"".join(bytes(p) for p in one.blobs[0].pieces))), big)
    assert encode_result(big[:100]).blobs == []


def test_tensor_files_are_plain_safetensors() -> None:
    import safetensors.torch

    tensor = torch.randn(50, 50)
    (blob,) = encode_result({"w": tensor}).blobs
    (read,) = safetensors.torch.load(b"".join(bytes(p) for p in blob.pieces)).values()
    assert blob.name.endswith(".safetensors") and torch.equal(read, tensor)


def test_what_is_read_can_be_written_to() -> None:
    for value in (np.zeros(3), np.zeros(3000), torch.zeros(3), torch.zeros(3000)):
        back = there_and_back(value)
        back[0] = 5
        assert back[0] == 5 and value[0] == 0


def test_tensors_that_went_to_or_came_from_the_store_are_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.randn(100)
    plain = hashing.key(tensor.clone())
    back = there_and_back({"w": tensor})["w"]
    monkeypatch.setattr(hashing, "fresh_tensor_encoding", lambda t: pytest.fail("hashed again"))
    assert hashing.key(back) == hashing.key(tensor) == plain


# ----------------------------------------------------------------------------------------- entries that others planted


class Evil:
    """A pickle of it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (pathlib.Path.touch, (self.path,))


def payload(node: Any, small: bytes = b"") -> bytes:
    text = json.dumps(node).encode()
    return b"J" + struct.pack("<I", len(text)) + text + small


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(2, 0), allow_pickle=True)
    return file.getvalue()


def planted(path: Path) -> dict[str, bytes]:
    """Payloads that would like to run code, and those that are simply wrong; each is well-formed to the store."""
    evil = pickle.dumps(Evil(path))
    objects = npy(np.array([Evil(path)], dtype=object))
    header = b"\x10\0\0\0\0\0\0\0" + b'{"a": bad json }'
    huge = struct.pack("<Q", 2**62) + b"{}"
    zeros = bytes(8)
    return {
        "a pickle": evil,
        "an npy of objects": payload({"$": "npy", "at": [0, len(objects)]}, objects),
        "an npy with code in its header": payload(
            {"$": "npy", "at": [0, 80]}, npy(np.zeros(1))[:10] + b"__import__('os')"
        ),
        "an array of objects": payload({"$": "array", "dtype": "O", "shape": [1], "at": [0, 8]}, zeros),
        "a scalar object": payload({"$": "scalar", "dtype": "|O", "at": [0, 8]}, zeros),
        "a dtype of objects": payload({"$": "array", "dtype": [["a", "O"]], "shape": [1], "at": [0, 8]}, zeros),
        "safetensors with a bad header": payload({"$": "with tensors", "at": [0, 24], "v": 1}, header),
        "safetensors with a huge header": payload({"$": "with tensors", "at": [0, 10], "v": 1}, huge),
        "a torch file": payload({"$": "with tensors", "at": [0, len(evil)], "v": 1}, evil),
        "an unknown kind": payload({"$": "__import__", "v": "os"}),
        "a kind that is no name": payload({"$": ["tuple"], "v": []}),
        "a torch dtype that is a function": payload({"$": "torch.dtype", "v": "load"}),
        "a frame of nothing": payload({"$": "DataFrame", "v": {"columns": "os.system"}}),
        "a part beyond the end": payload({"$": "array", "dtype": "<f8", "shape": [9], "at": [0, 72]}, zeros),
        "an unknown tag": b"P" + evil,
        "half a JSON": b"j[1,",
        "a nest of lists": b"j" + b"[" * 100_000,
        "no bytes": b"",
        "a file name of another folder": payload({"$": "npy", "file": "../../../etc/passwd"}),
    }


@pytest.mark.parametrize("name", planted(Path("x")))
def test_a_planted_payload_runs_nothing_and_gives_an_error(name: str, tmp_path: Path) -> None:
    target = tmp_path / "planted"

    def read_file(asked: str) -> bytearray:
        raise StoreError(asked)

    with pytest.raises(StoreError):
        decode_result(planted(target)[name], read_file)
    assert not target.exists()


def test_the_planted_pickle_is_a_real_one(tmp_path: Path) -> None:
    pickle.loads(planted(tmp_path / "planted")["a pickle"])
    assert (tmp_path / "planted").exists()
