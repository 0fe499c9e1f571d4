"""How results were obtained: a small file beside each file of counts, out.csv.json beside out.csv."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__

DECIDE = ("network", "dataset", "weights_id", "format", "arithmetic", "images")  # what the counts of a fault hang on


def path_of(results: Path) -> Path:
    """
    >>> str(path_of(Path("out.csv")))
    'out.csv.json'
    """
    return results.with_name(f"{results.name}.json")


def write(results: Path, how: Mapping[str, Any]) -> None:
    """Beside a file of counts, with the checksum of that file."""
    from ..files import write_whole

    text = json.dumps({**how, "gridrun": __version__, "sha256": _sha256(results)}, indent=2)
    write_whole(path_of(results).absolute(), f"{text}\n".encode())


def read(results: Path) -> dict[str, Any]:
    """What is known of a file of counts; nothing where that was not written, or was written for other counts."""
    try:
        found = json.loads(path_of(results).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("sha256") == _sha256(results) else {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Where two files of counts were obtained otherwise, or where that is not known of one.

    >>> differences({"format": "fp16", "images": 9}, {"format": "fp32", "images": 9})
    ['format is fp16 in ours, fp32 in published']
    >>> differences({"format": "fp16", "arithmetic": "exact"}, {})
    ['format is fp16 in ours, not known of published']
    """
    usual = {"format": "fp32", "arithmetic": "exact"}  # and of files that say nothing taken for granted
    found = []
    for key in DECIDE:
        a, b = ours.get(key), theirs.get(key)
        if a == b or (None in (a, b) and (a or b) == usual.get(key, a or b)):
            continue
        shown = ["not known of" if value is None else f"{value} in" for value in (a, b)]
        found.append(f"{key} is {shown[0]} ours, {shown[1]} published")
    return found


def surroundings(reports: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Where the blocks of a campaign were computed, from their reports: each value once.

    >>> surroundings([{"torch": "2.1", "device": "cpu"}, {"torch": "2.0", "device": "cpu"}])
    {'torch': ['2.0', '2.1'], 'device': ['cpu'], 'threads': []}
    """
    reports = list(reports)
    keys = ("torch", "device", "threads")
    return {key: sorted({report[key] for report in reports if key in report}) for key in keys}
