"""The folder of one training run: weights.safetensors, metrics.json, log.jsonl, and `completed`, written
last; until then there may be a checkpoint (see checkpoint.py).

Each file is written aside and renamed into place, so it is whole or absent. `completed` holds the checksums
of the others: without it, or with another checksum, the run is not done and is computed again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import xxhash

from ..files import write_whole

WEIGHTS, METRICS, LOG, COMPLETED = "weights.safetensors", "metrics.json", "log.jsonl", "completed"
CHECKPOINT = "checkpoint.safetensors"


def run_folder(cache_dir: str | Path, session_id: str) -> Path:
    """Where a session keeps its files."""
    return Path(cache_dir) / "runs" / session_id


def finish(folder: Path, weights: bytes, metrics: Mapping[str, Any]) -> None:
    """Write the results of a run, and then that they are complete."""
    files = {WEIGHTS: weights, METRICS: json.dumps(metrics, indent=1).encode()}
    for name, data in files.items():
        write_whole(folder / name, data)
    checksums = {name: xxhash.xxh3_128_hexdigest(data) for name, data in files.items()}
    write_whole(folder / COMPLETED, json.dumps(checksums).encode())


def remove_checkpoint(folder: Path) -> None:
    """A run that is complete needs it no more, nor what was left of saving it."""
    for path in (folder / CHECKPOINT, *folder.glob(f".{CHECKPOINT}.*")):
        with suppress(OSError):
            path.unlink()


def checksums(folder: Path) -> dict[str, str] | None:
    """Checksum of each file as written; None if the run is not complete."""
    try:
        found = json.loads((folder / COMPLETED).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {WEIGHTS, METRICS} <= found.keys() else None


def is_whole(folder: Path) -> bool:
    """Whether the run is complete and every file still has its checksum."""
    try:
        return all(
            xxhash.xxh3_128_hexdigest((folder / name).read_bytes()) == checksum
            for name, checksum in (checksums(folder) or {"": ""}).items()
        )
    except OSError:
        return False


@contextmanager
def log_of(folder: Path) -> Iterator[Any]:
    """A function that appends a line to the run's log at once.

    A log is only ever appended to: a run that starts anew, or goes on from a checkpoint, begins with another
    {"started": ...} line. A line for which the disk has no room is left out: a log ends no training.
    """
    with open(folder / LOG, "ab", buffering=0) as file:
        begin = time.time()
        _line(file, {"started": round(begin, 3)})
        yield lambda **values: _line(file, {**values, "seconds": round(time.time() - begin, 3)})


def _line(file: IO[bytes], values: Mapping[str, Any]) -> None:
    with suppress(OSError):
        file.write(json.dumps(values).encode() + b"\n")
