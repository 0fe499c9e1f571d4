"""Entries that others planted in a store: data at most, never code, never a file elsewhere."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import light
import numpy as np
import pytest

from gridrun import NotComputed, StoreError, cachable, open_store, run, store
from gridrun.codec import encode_result
from gridrun.segments import RESULT, NewRecord, SegmentWriter


class Evil:
    """Loading a pickle of it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def plant(folder: Path, payload: bytes) -> None:
    """Put another payload behind the key of the one result of a store, with checksums that hold."""
    (record,) = store.Store(folder).records()
    context = record.frame.contexts[record.row.context]
    (real,) = folder.glob("segments/*.seg")
    real.unlink()
    writer = SegmentWriter(folder / "segments" / "planted-1-2.seg")
    writer.append([NewRecord(record.key, context, 0, RESULT, payload, b"{}", 1.0)])
    writer.close()
    store._OPEN.clear()


def tree(node: Any, small: bytes = b"") -> bytes:
    text = json.dumps(node).encode()
    return b"J" + struct.pack("<I", len(text)) + text + small


EVIL: dict[str, Any] = {
    "a pickle": pickle.dumps,
    "an array that holds a pickle": lambda evil: tree({"$": "npy", "at": [0, 400]}, object_array(evil)),
    "a pickle as tensors": lambda evil: tree({"$": "with tensors", "at": [0, 400], "v": 1}, pickle.dumps(evil)),
    "a kind that names code": lambda evil: tree({"$": "os.system", "v": "touch planted"}),
    "half a value": lambda evil: b"j[1, ",
}


def object_array(evil: Evil) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, np.array([evil], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("name", EVIL)
def test_a_planted_result_never_runs(tmp_path: Path, sessions: Path, name: str) -> None:
    target = tmp_path / "planted"
    run([{"a": 1}], light.inverse)("{a}")
    plant(sessions, EVIL[name](Evil(target)))
    with contextlib.suppress(StoreError, NotComputed):
        assert run([{"a": 1}], light.inverse)("{a}") == [1.0]
    with contextlib.suppress(StoreError, NotComputed):
        run([{"a": 1}], light.inverse, run_mode="load")("{a}")
    for record in open_store().records():
        with contextlib.suppress(StoreError):
            record.value()
    open_store().verify()
    open_store().collect()
    assert not target.exists() and not Path("planted").exists()
    assert run([{"a": 1}], light.inverse, run_mode="force")("{a}") == [1.0]
    assert run([{"a": 1}], light.inverse)("{a}") == [1.0]


def test_the_plant_is_taken_for_a_result(sessions: Path) -> None:
    run([{"a": 1}], light.inverse)("{a}")
    plant(sessions, encode_result(42).data)
    assert run([{"a": 1}], light.inverse)("{a}") == [42]  # so the tests above do reach the reader


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "../" + "0" * 29 + ".npy", "0" * 32 + ".npy/../../x", "0" * 32, ""]
)
def test_a_file_name_cannot_lead_out_of_the_store(sessions: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no name of a stored file"):
        open_store().blob_path(name)
    run([{"a": 1}], light.inverse)("{a}")
    plant(sessions, tree({"$": "npy", "file": name}))
    with pytest.raises((StoreError, NotComputed)):
        run([{"a": 1}], light.inverse, run_mode="load")("{a}")


def test_a_planted_name_of_a_table_stays_a_file_of_its_folder(sessions: Path) -> None:
    def f(x: int) -> int:
        return x

    names = ["../../up", "/abs", "..", ".", "a/b", "x" * 50, "ü n", "a%2fb"]
    for name in names:
        assert run([{"a": 1}], cachable(table_name=name)(f))("{a}") == [1]
    assert len(list((sessions / "tables").iterdir())) == len(names)
    assert sorted(p.name for p in sessions.parent.iterdir()) == ["sessions"]


def test_a_planted_claim_or_heartbeat_is_only_data(sessions: Path) -> None:
    run([{"a": 1}], light.inverse)("{a}")
    (sessions / "claims" / "journal").write_bytes(b"\x80\x04garbage\n" * 50)
    (sessions / "claims" / "x.beat").write_bytes(b"")
    (sessions / "segments" / "not a segment.seg").write_bytes(pickle.dumps([1]))
    store._OPEN.clear()
    assert run([{"a": 1}, {"a": 2}], light.inverse)("{a}") == [1.0, 0.5]
