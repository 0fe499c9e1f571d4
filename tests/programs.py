"""Small programs, each run in a process of its own, as a user's script would be."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


def environment(**more: str) -> dict[str, str]:
    """What a program sees: this checkout, and one thread for each numeric library."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def start(script: Path, *words: object, **more: str) -> subprocess.Popen[str]:
    """A running `python script words...`; what it prints is read from its pipes."""
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, words)],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def python(script: Path, *words: object, **more: str) -> str:
    """What `python script words...` prints. Raises AssertionError, with its errors, if it fails."""
    running = start(script, *words, **more)
    out, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors[-3000:]
    return out
