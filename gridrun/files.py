"""Files that are whole or absent, in folders that a group may share."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from .machine import random_name
from .segments import disk_error, share_with_group


def make_folder(path: Path) -> None:
    """Make a folder and those above it, group-writable where the folder above is."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    if path.parent.stat().st_mode & 0o020:
        with contextlib.suppress(OSError):
            path.chmod(path.stat().st_mode | 0o070)


def read_into(file: Any, buffer: bytearray) -> None:
    view = memoryview(buffer)
    while view.nbytes:
        n = file.readinto(view)
        if not n:
            return
        view = view[n:]


def file_safe(name: str) -> str:
    """A name as a part of a path, different names giving different parts.

    >>> file_safe("a/b c")
    'a%2fb%20c'
    """
    safe = "".join(c if c.isalnum() or c in "._-" else f"%{ord(c):x}" for c in name)
    return safe if safe.strip(".") else f"%{safe}"


def write_whole(path: Path, *pieces: Any, durable: bool = True, exclusive: bool = False) -> None:
    """Write a file so that it is either whole or absent: aside, then renamed (or linked, if it must be new)."""
    aside = path.with_name(f".{path.name}.{random_name()}.part")
    try:
        with open(aside, "xb", buffering=0) as file:
            for piece in pieces:
                view = memoryview(piece)
                view = view.cast("B") if view.nbytes else view
                while view.nbytes:
                    view = view[file.write(view) :]
            share_with_group(file.fileno(), path.parent)
            if durable:
                os.fsync(file.fileno())
        if not exclusive:
            os.replace(aside, path)
            return
        os.link(aside, path)
        os.unlink(aside)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        if not isinstance(error, OSError) or isinstance(error, FileExistsError):
            raise
        raise disk_error(error, path) from error
