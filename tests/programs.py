"""Small programs, each run in a process of its own, as a user's script would be."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

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


def function(folder: Path, source: str, name: str = "f", module: str = "page") -> Any:
    """The function `name` of `source`, as if a file of the module `module` had been edited and loaded again."""
    path = folder / f"{module}_{len(list(folder.glob('*.py')))}.py"
    write(path, source)
    space: dict[str, Any] = {"__name__": module}
    exec(compile(path.read_text(), str(path), "exec"), space)
    return space[name]
