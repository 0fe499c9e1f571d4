"""Results as pickles: only where a function asks for it, and read only where the environment allows it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .errors import StoreError
from .hashing import digest


def pickle_loader(session_id: str, table: str, cache_dir: str) -> Any:
    """Read what pickle_saver wrote, if the environment allows it (a pickle can run any code)."""
    import pickle

    path = Path(cache_dir) / "runs" / session_id / "value.pickle"
    if os.environ.get("GRIDRUN_ALLOW_PICKLE") != "1":
        raise StoreError(
            f"{path} is a pickle, which can run any code when it is read; if you trust everyone who can write to "
            "this store, set GRIDRUN_ALLOW_PICKLE=1"
        )
    raw = path.read_bytes()
    note = json.loads(path.with_suffix(".json").read_text())
    if digest(raw).hex() != note["digest"]:
        raise StoreError(f"{path} failed its checksum; compute it again with run_mode='force'")
    return pickle.loads(raw)


def pickle_saver(session_id: str, table: str, cache_dir: str, value: Any) -> None:
    """Keep a result that no safe format holds, as a pickle; reading it back needs GRIDRUN_ALLOW_PICKLE=1."""
    import pickle

    from .files import write_whole

    folder = Path(cache_dir) / "runs" / session_id
    folder.mkdir(parents=True, exist_ok=True)
    raw = pickle.dumps(value)
    write_whole(folder / "value.pickle", raw)
    write_whole(folder / "value.json", json.dumps({"digest": digest(raw).hex()}).encode())


pickle_saver.loader = pickle_loader  # type: ignore[attr-defined]
