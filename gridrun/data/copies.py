"""How a copy of a data set differs from the whole published one, told from the names of its files (no torch here).

Data sets of images are whole or refused, since their files have published checksums. Those below take as many records
or clips as are there, so a network trained on some of them is not the one trained on all.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

from .folders import data_folder

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
    there = [name for name in RECORDS if (root / "mitdb" / f"{name}.dat").is_file()]
    return None if len(there) in (0, len(RECORDS)) else f"records {' '.join(there)}"


def clips(folder: str, suffix: str, whole: int) -> Callable[[Path], str | None]:
    """How many clips are in the folders of `folder`, where they are not `whole`."""
    return lambda root: _told(_in_folders(root / folder, suffix), whole)


def spoken_digits(root: Path) -> str | None:
    """How many recordings there are, or else clips in the one file that holds them all."""
    return _told(_in_folders(root / "fsdd", ".wav") or _in_one_file(root / "fsdd" / "fsdd.npz"), 3000)


def _told(n: int, whole: int) -> str | None:
    return None if n in (0, whole) else f"{n} clips"


def _in_folders(folder: Path, suffix: str) -> int:
    folders = [folder, *sorted(path for path in _entries(folder) if path.is_dir())]
    return sum(_count(str(each), suffix, os.stat(each).st_mtime_ns) for each in folders if each.is_dir())


def _in_one_file(path: Path) -> int:
    return _held(str(path), os.stat(path).st_mtime_ns) if path.is_file() else 0


@functools.lru_cache(maxsize=8)
def _held(path: str, changed: int) -> int:
    """Clips of the one file; 0 where it cannot be read, which is told when it is."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return int(file["digit"].size)
    except Exception:  # a damaged archive raises anything
        return 0


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


@functools.lru_cache(maxsize=256)
def _count(folder: str, suffix: str, changed: int) -> int:
    """Files of a folder, counted anew when it was changed."""
    with os.scandir(folder) as entries:
        return sum(entry.name.endswith(suffix) for entry in entries)


PARTIAL: dict[str, Callable[[Path], str | None]] = {
    "ecg": records,
    "ecg_by_record": records,
    "speech_commands": clips("SpeechCommands/speech_commands_v0.02", ".wav", 105_829 + 6),  # words, long noises
    "spoken_digits": spoken_digits,
    "speech_kws01": clips("speech_kws01", ".bin", 1000),
}
