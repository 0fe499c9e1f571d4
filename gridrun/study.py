"""Where a study is: the folder that holds experiments/, launch/ and sessions/."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_chosen: list[str] = []
_command: list[str] = []


def use_root(folder: str | os.PathLike[str]) -> None:
    """Take `folder` for the study's root from now on (train.py passes its own)."""
    _chosen[:] = [os.path.abspath(folder)]


def study_root() -> str:
    """The study's root: the chosen one, else found by climbing from the script's folder, else from the current one.

    A notebook, a test runner and an installed command are no part of a study, so for them the current folder counts.
    """
    if _chosen:
        return _chosen[0]
    start = Path(_script_folder() or os.getcwd())
    for folder in (start, *start.parents):
        if (folder / "experiments").is_dir() or (folder / "sessions").is_dir():
            return str(folder)
    return str(start)


def _script_folder() -> str | None:
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if not file or getattr(main, "__spec__", None) is not None or not os.path.isfile(file):
        return None
    folder = os.path.dirname(os.path.abspath(file))
    return None if os.path.basename(folder) in ("bin", "Scripts") else folder


def default_store() -> str:
    """The folder of results: $GRIDRUN_SESSIONS, or sessions/ under the study's root."""
    return os.environ.get("GRIDRUN_SESSIONS") or os.path.join(study_root(), "sessions")


def use_command(text: str) -> None:
    """Note the command that computes what is missing, for messages."""
    _command[:] = [text]


def command() -> str:
    """The command that computes what is missing; "" outside the command line."""
    return _command[0] if _command else ""
