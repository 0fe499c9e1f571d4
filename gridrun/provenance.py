"""How a result was obtained: code version, packages, machine, job."""

from __future__ import annotations

import functools
import os
import platform
import resource
import subprocess
import sys
from typing import Any

from .machine import this_owner

PACKAGES = ("numpy", "torch")


def circumstances(folder: str) -> dict[str, Any]:
    """What all results of this process share; `folder` is where the code lives (for its git commit)."""
    owner = this_owner()
    shared = {
        "versions": versions(),
        "git": git_state(folder),
        "host": owner.host,
        "pid": owner.pid,
        "job": owner.job,
        "argv": sys.argv,
    }
    log = os.environ.get("GRIDRUN_LOG", "")
    return {**shared, "log": log} if log else shared


@functools.lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, without importing them."""
    from importlib import metadata

    from . import __version__

    found = {"gridrun": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.lru_cache(maxsize=64)
def git_state(folder: str) -> dict[str, Any]:
    """The commit of the repository around `folder`, and whether files that git tracks were edited since."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
