"""The code that a submission was made with: a record of it, and a copy, so that editing while jobs wait is safe."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import make_folder
from ..hashing import digest
from ..provenance import git_state, versions
from ..segments import disk_error

RESULTS = ("sessions", "figures")
LEFT_BY_TOOLS = ("__pycache__", "node_modules", "build", "dist")  # beside hidden folders and virtual environments
SUFFIXES = (".py", ".toml", ".cfg", ".ini", ".json", ".yaml", ".yml")  # of code, where git does not tell
MOST_MB = 100
GIT_S = 60.0


# ---------------------------------------------------------------------------------------------------------- the record
def code_record(root: Path, setup: Sequence[str] = ()) -> dict[str, Any]:
    """What computes the points, for the manifest: commit, edits since, interpreter, packages, set-up lines.

    `edits` is a hash of what differs from the commit (untracked .py files included), "" where nothing does; without
    git it is a hash of the study's code.
    """
    git = git_state(str(root))
    return {
        "git": dict(git),
        "edits": edits(root, bool(git)),
        "interpreter": sys.executable,
        "python": platform.python_version(),
        "packages": dict(versions()),
        "setup": list(setup),
    }


def edits(root: Path, has_commit: bool) -> str:
    """A hash of the study's code where git has no commit of it, else of what differs from the commit ("": nothing)."""
    if not has_commit:
        return _hash_of(root, list(code_files(root)), b"")
    changes = _git(root, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color", "--", ".") or b""
    new = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", ".") or b""
    new_code = [root / os.fsdecode(name) for name in new.split(b"\0") if name.endswith(b".py")]
    return _hash_of(root, new_code, changes) if changes or new_code else ""


def _hash_of(root: Path, files: Iterable[Path], start: bytes) -> str:
    pieces = [digest(start)]
    for file in sorted(files):
        try:
            pieces += [digest(os.fsencode(file.relative_to(root))), digest(file.read_bytes())]
        except OSError:  # went away, or not ours to read
            continue
    return digest(b"".join(pieces)).hex()


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints; None where there is no git, no repository, or an error."""
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, timeout=GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


# ------------------------------------------------------------------------------------------------------------ the copy
def copy_code(root: Path, target: Path, leave: Sequence[Path] = ()) -> int:
    """Copy a study's code to a new folder, whole or not at all; how many files.

    Copied is what git tracks and what it would track (not ignored); without git, files with the endings of code.
    sessions/, figures/ and what `leave` names (the store) stay. Links lead to the copy, or out of the study as before.

    Raises UsageError, with the largest files, if that is too much to be code.
    """
    files = list(code_files(root, leave))
    _check_size(root, files)
    aside = target.with_name(f".{target.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    make_folder(aside)
    try:
        for file in files:
            if not file.is_symlink():
                (aside / file.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, aside / file.relative_to(root))
        for file in files:
            if file.is_symlink():
                _copy_link(file, root, aside)
        os.rename(aside, target)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise disk_error(error, Path(error.filename2 or error.filename or target)) from error
    return len(files)


def code_files(root: Path, leave: Sequence[Path] = ()) -> Iterator[Path]:
    """The files and links of a study's code that are there."""
    files = _files_of_git(root) or _files_by_suffix(root)
    left = [root / name for name in RESULTS] + [Path(os.path.abspath(path)) for path in leave]
    left += [file.parent for file in files if file.name == "pyvenv.cfg"]  # a virtual environment that git sees
    for file in files:
        if not any(folder in file.parents for folder in left) and (file.is_file() or file.is_symlink()):
            yield file


def _files_of_git(root: Path) -> list[Path]:
    """What git tracks or would track under a folder, submodules included; [] where git does not know it."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    found: list[Path] = []
    for name in dict.fromkeys((listed or b"").split(b"\0")):
        path = root / os.fsdecode(name)
        if name and path.is_dir() and not path.is_symlink():  # a submodule, or a repository within
            found += _files_of_git(path)
        elif name:
            found.append(path)
    return found


def _files_by_suffix(root: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(root):
        hidden = {name for name in folders if name.startswith(".") or name in (*RESULTS, *LEFT_BY_TOOLS)}
        environments = {name for name in folders if os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))}
        folders[:] = sorted(set(folders) - hidden - environments)
        found += [Path(folder, name) for name in sorted(names) if name.endswith(SUFFIXES) and name[0] != "."]
    return found


def _check_size(root: Path, files: Sequence[Path]) -> None:
    sizes = {file: file.lstat().st_size for file in files if os.path.lexists(file)}
    total = sum(sizes.values())
    if total > MOST_MB * 1e6:
        largest = sorted(sizes, key=lambda file: sizes[file], reverse=True)[:3]
        named = ", ".join(f"{file.relative_to(root)} ({sizes[file] / 1e6:.0f} MB)" for file in largest)
        raise UsageError(
            f"--snapshot would copy {total / 1e6:.0f} MB from {root}, and code is at most {MOST_MB} MB. The largest: "
            f"{named}. List data in .gitignore, or keep it outside the study"
        )


def _copy_link(link: Path, root: Path, copy: Path) -> None:
    """A link to what was copied leads to the copy; any other to where it led."""
    goal = link.resolve()
    here = copy / link.relative_to(root)
    here.parent.mkdir(parents=True, exist_ok=True)
    try:
        inside = copy / goal.relative_to(root.resolve())
    except ValueError:
        inside = None
    if inside is not None and inside.exists():
        os.symlink(os.path.relpath(inside, here.parent), here)
    else:
        os.symlink(goal, here)
