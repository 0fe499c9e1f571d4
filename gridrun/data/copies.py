"""How a copy of a data set differs from the whole published one, told from the names of its files (no torch here).

Data sets of images are whole or refused: their files have published checksums, GTSRB's photographs published numbers.
Those below take as many records or clips as are there, so a network trained on some is not the one trained on all.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .folders import data_folder, md5_of

Copy = Callable[[Path], "str | None"]  # from the data folder to what is there
RECENT_NS = 2_000_000_000  # what was changed so lately may be again, within one tick of the disk's clock
RECORDS = [  # of the MIT-BIH Arrhythmia Database, those of pacemakers left out
    *(str(n) for n in range(100, 125) if n not in (102, 104, 107, 110, 120)),
    *(str(n) for n in range(200, 235) if n not in (204, 206, 211, 216, 217, 218, 224, 225, 226, 227, 229)),
]


def copy_of(name: str, data_dir: str | Path | None = None) -> str | None:
    """What is there of a data set in `data_dir` (else $GRIDRUN_DATA, else data), where that is not all of it.

    None for a whole one, for one that is not there at all (another machine may have it whole), and for one that is
    always whole.

    >>> copy_of("fashion_mnist") is None
    True
    """
    return PARTIAL[name](data_folder(data_dir)) if name in PARTIAL else None


def records(root: Path) -> str | None:
    """The records of heartbeats that are there."""
    folder = root / "mitdb"
    files = _asked(_entries, folder)[0] if folder.is_dir() else ()
    there = [name for name in RECORDS if f"{name}.dat" in files]
    return None if len(there) in (0, len(RECORDS)) else f"records {' '.join(there)}"


def clips(folder: str, suffix: str, whole: int, one_file: str = "", arrays: tuple[str, ...] = ()) -> Copy:
    """How many clips are in `folder` and the folders there, with a checksum of their names and sizes, where they are
    not `whole`; where there are no files of them, those of `one_file`, an .npz with `arrays` that tell them apart.
    """

    def told(root: Path) -> str | None:
        top = root / folder
        counts = {each: _asked(_counted, each, suffix) for each in _with_folders(top)}
        if n := sum(counts.values()):
            found = (f"{each.name} {_asked(_measured, each, suffix)}" for each in counts if counts[each])
            return None if n == whole else f"{n} clips {_checksum(found)}"
        n, content = _asked(_held, top / one_file, arrays) if (top / one_file).is_file() else (0, "")
        return None if n in (0, whole) else f"{n} clips {content}"

    return told


def _checksum(texts: Iterable[str]) -> str:
    return md5_of("\n".join(texts).encode())[:8]


def _with_folders(folder: Path) -> list[Path]:
    """A folder and those in it; none if it is not there."""
    return [folder, *(folder / name for name in _asked(_entries, folder)[1])] if folder.is_dir() else []


def _asked(function: Callable[..., Any], path: Path, *args: Any) -> Any:
    """What a function says of a file or folder: remembered, and asked anew when that was changed."""
    changed = os.stat(path).st_mtime_ns
    is_settled = time.time_ns() - changed > RECENT_NS
    return (function if is_settled else function.__wrapped__)(str(path), changed, *args)  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=256)
def _entries(folder: str, changed: int) -> tuple[list[str], list[str]]:
    """The names of the files in a folder, and of its folders."""
    with os.scandir(folder) as entries:
        is_folder = {entry.name: entry.is_dir() for entry in entries}
    files, folders = (sorted(name for name in is_folder if is_folder[name] is wanted) for wanted in (False, True))
    return files, folders


@functools.lru_cache(maxsize=256)
def _counted(folder: str, changed: int, suffix: str) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.name.endswith(suffix) for entry in entries)


@functools.lru_cache(maxsize=256)
def _measured(folder: str, changed: int, suffix: str) -> str:
    """Names and sizes of files, as a checksum."""
    with os.scandir(folder) as entries:
        sizes = [f"{entry.name} {entry.stat().st_size}" for entry in entries if entry.name.endswith(suffix)]
    return _checksum(sorted(sizes))


@functools.lru_cache(maxsize=8)
def _held(path: str, changed: int, arrays: tuple[str, ...]) -> tuple[int, str]:
    """How many clips the one file has, and a checksum; 0 where it cannot be read, which is told when it is."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            found = [file[name].astype(np.int64) for name in arrays]
    except Exception:  # a damaged archive raises anything
        return 0, ""
    return len(found[0]), _checksum(md5_of(array.tobytes()) for array in found)


PARTIAL: dict[str, Copy] = {
    "ecg": records,
    "ecg_by_record": records,
    "speech_commands": clips("SpeechCommands/speech_commands_v0.02", ".wav", 105_829 + 6),  # words, long noises
    "spoken_digits": clips("fsdd", ".wav", 3000, "fsdd.npz", ("digit", "index", "offset")),
    "speech_kws01": clips("speech_kws01", ".bin", 1000, "kws01_mfcc_int8.npz", ("y", "x")),
}
