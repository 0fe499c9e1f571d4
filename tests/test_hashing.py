"""Keys: equal in, equal key, in every process; different in, different key; and never a guess."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import functools
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import programs
import pytest
import torch

from gridrun import hashing
from gridrun.errors import UnhashableInput
from gridrun.hashing import key


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Setting:
    level: float
    inner: Any = None


@dataclasses.dataclass
class OtherSetting:
    level: float
    inner: Any = None


Pair = collections.namedtuple("Pair", "a b")


def plus(k: Any) -> Callable[[int], Any]:
    return lambda x: x + k


ALL_DIFFERENT: list[Any] = [
    None, False, True, 0, 1, -1, 1.0, 0.5, "1", "", "None", "True", b"1", b"", 1j, ..., 2**200, -(2**200),
    10**5000, [], [1], [1, 1], [[1]], [1, [1]], ["1"], {}, {"a": 1}, {"a": 1.0}, {"b": 1}, {1: "a"},
    {"1": "a"}, set(), {1}, {"1"}, "a" * 99, ["a", "b"], ["ab"], ["a", ["b"]], {"a": {"b": 1}},
    {"a": ["b", 1]}, range(3), range(0, 3, 2), float("inf"), float("nan"), datetime.date(2020, 1, 1),
    datetime.datetime(2020, 1, 1), datetime.timedelta(1), datetime.time(1), pathlib.Path("a"), Colour.RED,
    Colour.BLUE, Colour, Setting(0.5), Setting(0.25), Setting(0.5, [1]), OtherSetting(0.5), np.zeros(2),
    np.zeros(3), np.zeros((2, 1)), np.zeros(2, "f4"), np.zeros(2, ">i2"), np.array(["a"]), np.array(1.0),
    np.array([1, None], object), torch.zeros(2), torch.zeros(3), torch.zeros(2, 1), torch.zeros(2).double(),
    torch.float32, torch.device("cpu"), np.dtype("f4"), torch.nn.Linear(1, 1), pd.DataFrame({"a": [1]}),
    pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1]}), pd.DataFrame({"a": [1]}, index=["x"]),
    pd.Series([1]), abs, len, math.sin, np.sin, torch.relu, "abc".upper, str.upper, plus(1), plus(2),
    functools.partial(plus, 1), lambda x: x, lambda x: x + 1, pd.Timestamp("2020"), np.datetime64("2020"),
    np.datetime64("2020-01-01"), math,
]  # fmt: skip


def test_different_values_have_different_keys() -> None:
    keys = [key(value) for value in ALL_DIFFERENT]
    clashes = [(ALL_DIFFERENT[i], ALL_DIFFERENT[j]) for i in range(len(keys)) for j in range(i) if keys[i] == keys[j]]
    assert clashes == []
    assert {len(k) for k in keys} == {16}


EQUAL: list[tuple[Any, Any]] = [
    ([1, 2], (1, 2)),
    ([1, 2], Pair(1, 2)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": 1}, collections.OrderedDict(a=1)),
    ({3, 1, 2}, frozenset([2, 3, 1])),
    (float("nan"), -float("nan")),
    (float("nan"), np.float64("nan")),
    (1, np.int64(1)),
    (1, np.uint8(1)),
    (0.5, np.float32(0.5)),
    (True, np.bool_(True)),
    ("a", np.str_("a")),
    (pathlib.Path("a/b"), pathlib.PurePosixPath("a/b")),
    (np.arange(4), np.arange(8)[::2] // 2),
    (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
    (np.arange(3, dtype="<i4"), np.arange(3, dtype=">i4").astype("<i4")),
    (np.arange(3, dtype="<i4"), np.arange(3, dtype=">i4")),
    (torch.arange(3), torch.arange(6)[:3]),
    (torch.ones(2), torch.ones(2, requires_grad=True)),
    (torch.ones(2, 3), torch.ones(3, 2).T),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}).copy()),
    (Setting(0.5), Setting(0.5)),
    (plus(1), plus(1)),
    (bytearray(b"x"), b"x"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=lambda v: f"{type(v).__name__}")
def test_equal_content_has_one_key(one: Any, other: Any) -> None:
    assert key(one) == key(other)
    assert key([{"x": one}]) == key([{"x": other}])


def test_modules_are_their_class_and_state() -> None:
    torch.manual_seed(0)
    one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert key(one) != key(other)
    other.load_state_dict(one.state_dict())
    assert key(one) == key(other) != key(one.state_dict())


def test_a_changed_byte_of_a_large_array_changes_the_key() -> None:
    array = np.zeros(200_000)
    before = key(array)
    array[100_000] = 1e-300
    assert key(array) != before
    array[100_000] = 0
    assert key(array) == before


class Opaque:
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Opaque(), r"model is a .*Opaque"),
        ({"loss_fn": Opaque()}, r"model\.loss_fn is a .*Opaque"),
        ([1, {"a": (0, Opaque())}], r"model\[1\]\.a\[1\] is a .*Opaque"),
        ({3: Opaque()}, r"model\[3\] is a .*Opaque"),
        (Setting(0.1, Opaque()), r"model\.inner is a .*Opaque"),
        (plus(Opaque()), r"model\.<closure>\.k is a .*Opaque"),
        (functools.partial(plus, Opaque()), r"model\.args\[0\] is a .*Opaque"),
        (iter([1]), r"model is a .*list_iterator"),
        (np.random.default_rng(0), r"model is a .*Generator"),
        (torch.ones(2).to_sparse(), r"model is a .*Tensor"),
        (np.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")]), r"model is a .*ndarray"),
        (np.ma.array([1, 2], mask=[0, 1]), r"model is a .*MaskedArray"),
    ],
)
def test_an_unknown_object_is_an_error_that_names_the_path_and_the_way_out(value: Any, path: str) -> None:
    with pytest.raises(UnhashableInput, match=path + r".*dependencies="):
        key(value, "model")
    assert issubclass(UnhashableInput, TypeError)


def test_what_contains_itself_is_an_error() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnhashableInput, match="contains itself"):
        key(loop)


def test_a_session_id_counts_only_where_it_is_asked_for() -> None:
    one, other = hashing.SessionId("a" * 32), hashing.SessionId("b" * 32)
    assert key({"seed": 1, "session_id": one}) == key({"seed": 1, "session_id": other}) == key({"seed": 1})
    assert key(one) == key("a" * 32) != key(other)


def test_a_remembered_tensor_is_not_hashed_again_until_it_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.arange(10.0)
    plain = key(tensor)
    hashed: list[int] = []
    fresh = hashing.fresh_tensor_encoding
    monkeypatch.setattr(hashing, "fresh_tensor_encoding", lambda t: hashed.append(1) or fresh(t))
    hashing.remember(tensor, fresh(tensor))
    assert (key(tensor), hashed) == (plain, [])
    tensor[3] = -1
    assert key(tensor) != plain and hashed == [1]
    assert key(tensor) == key(torch.tensor(tensor.tolist()))


def test_memory_of_tensors_ends_with_the_tensor() -> None:
    tensor = torch.ones(3)
    before = len(hashing.MEMO.known)
    hashing.remember(tensor, b"x")
    assert len(hashing.MEMO.known) == before + 1
    del tensor
    assert len(hashing.MEMO.known) == before


PAGE = """
    import collections, dataclasses, enum, sys
    import numpy as np

    class Colour(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Setting:
        level: float

    LEVELS = {"a", "b", "c", "d"}

    def helper(x):
        return x in LEVELS

    def make(k):
        return lambda x: (x + k, helper(x))

    VALUES = [
        {"a", "b", "c", 1, 2.5, None}, {"x": {"q", "r", "s"}, "b": 1}, frozenset("abcdef"), Colour.RED, Colour,
        Setting(0.5), np.arange(5), 2.5, float("nan"), "\\ud800", make(1), helper, print, [1, (2, 3)], 10**40,
    ]

    if __name__ == "__main__":
        sys.path.insert(0, sys.argv[1])
        from gridrun.hashing import key
        print(key(VALUES).hex(), *[key(v).hex() for v in VALUES])
"""


def test_keys_are_equal_in_every_process(tmp_path: Any) -> None:
    script = programs.write(tmp_path / "page.py", PAGE)
    loader = programs.write(
        tmp_path / "loader.py",
        """
        from page import VALUES
        from gridrun.hashing import key
        print(key(VALUES).hex(), *[key(v).hex() for v in VALUES])
        """,
    )
    runs = [programs.python(script, tmp_path, PYTHONHASHSEED=seed).split() for seed in ("0", "1", "4242")]
    assert runs[0] == runs[1] == runs[2]
    assert programs.python(loader, PYTHONHASHSEED="7").split() == runs[0]  # imported, not run as a script
