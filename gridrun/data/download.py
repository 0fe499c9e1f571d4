"""Fetching the files of a data set from its official address, when somebody asks for it.

A file is taken only if its MD5 or SHA-256 is the published one, and an archive only if every member stays inside its
folder and is a plain file. Files appear whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO

from . import ecg, speech_commands
from .cifar10 import CIFAR10
from .cifar100 import CIFAR100
from .copies import RECORDS
from .fashion_mnist import FASHION_MNIST
from .folders import data_folder
from .gtsrb import ADDRESS as GTSRB
from .idx_images import IdxImages
from .mnist import MNIST

CHUNK = 1 << 20  # bytes
PATIENCE_S = 60.0  # without a byte

Tell = Callable[[str, int, int], None]  # name of the file, bytes so far, bytes in all (0: unknown)


@dataclass(frozen=True)
class Remote:
    """A published file: where it is, its checksum, and the folder under the data folder that it, or its members, go to.

    The checksum is an MD5 (32 hexadecimal digits) or a SHA-256 (64).
    """

    address: str
    checksum: str
    folder: str = ""

    @property
    def name(self) -> str:
        return self.address.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """Of the checksum: "md5" or "sha256"."""
        return "sha256" if len(self.checksum) == 64 else "md5"


@dataclass(frozen=True)
class Listed:
    """Published files at one address (ending in /), and a list of their SHA-256s beside them, as sha256sum has it."""

    address: str
    names: Sequence[str]
    folder: str
    list_name: str = "SHA256SUMS.txt"

    def remotes(self) -> list[Remote]:
        """The files, once the list is fetched; ValueError for one that is not on it."""
        with answered(self.address + self.list_name) as answer:
            lines = answer.read().decode("utf-8", "replace").splitlines()
        pairs = (line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
        sums = {name.strip().lstrip("*"): checksum for checksum, name in pairs}
        if absent := [name for name in self.names if len(sums.get(name, "")) != 64]:
            raise ValueError(f"{self.address}{self.list_name} has no SHA-256 of {', '.join(absent)}; nothing was kept")
        return [Remote(self.address + name, sums[name], self.folder) for name in self.names]


def _idx(source: IdxImages) -> list[Remote]:
    raw = f"{source.folder}/raw"
    return [Remote(f"{source.address}{name}.gz", md5, raw) for name, md5, _ in source.files.values()]


MITDB = Listed(ecg.ADDRESS, [f"{name}.{kind}" for name in RECORDS for kind in ("hea", "dat", "atr")], "mitdb")

FILES: dict[str, list[Remote] | Listed] = {
    "cifar10": [Remote(CIFAR10.address, "c58f30108f718f92721af3b95e74349a")],
    "cifar100": [Remote(CIFAR100.address, "eb9058c3a382ffc7106e4002c42a8d85")],
    "mnist": _idx(MNIST),
    "fashion_mnist": _idx(FASHION_MNIST),
    "gtsrb": [
        Remote(f"{GTSRB}GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478", "gtsrb"),
        Remote(f"{GTSRB}GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185", "gtsrb"),
        Remote(f"{GTSRB}GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5", "gtsrb"),
    ],
    "ecg": MITDB,
    "ecg_by_record": MITDB,
    "speech_commands": [
        Remote(speech_commands.ADDRESS, "6b74f3901214cb2c2934e98196829835", speech_commands.FOLDER),
    ],
}


def download(name: str, data_dir: str | Path | None = None, tell: Tell | None = None) -> list[Path]:
    """Fetch every file of a data set into its place under `data_dir`; the files, or the tops of archives, there.

    A file that is there already, as published, is not fetched again.

    Raises ValueError for a data set that is not fetched or a file that is not what was published, OSError where the
    address does not answer.
    """
    if name not in FILES:
        raise ValueError(f"{name} is not fetched; there are {', '.join(FILES)}")
    root, files = data_folder(data_dir), FILES[name]
    remotes = files.remotes() if isinstance(files, Listed) else files
    return [path for remote in remotes for path in (there(remote, root) or fetch(remote, root, tell))]


def there(remote: Remote, root: Path) -> list[Path]:
    """The file itself if it is in its place and as published; nothing otherwise, nor for an unpacked archive."""
    path = root / remote.folder / remote.name
    if not path.is_file():
        return []
    found = hashlib.new(remote.kind, path.read_bytes(), usedforsecurity=False).hexdigest()
    return [path] if found == remote.checksum else []


def fetch(remote: Remote, root: Path, tell: Tell | None = None) -> list[Path]:
    """Fetch one file into `root`/folder, an archive's members instead of the archive."""
    folder = root / remote.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as aside:  # same disk: moving is renaming
        fetched = Path(aside) / remote.name
        received(remote, fetched, tell)
        inside = Path(aside) / "members"
        inside.mkdir()
        if not unpacked(fetched, inside):
            os.replace(fetched, folder / remote.name)
            return [folder / remote.name]
        return [path for top in sorted(inside.iterdir()) for path in moved(top, folder / top.name)]


def received(remote: Remote, path: Path, tell: Tell | None) -> None:
    """Write what the address sends to `path`; ValueError unless it is the published file."""
    digest = hashlib.new(remote.kind, usedforsecurity=False)
    with answered(remote.address) as answer, open(path, "xb") as file:
        n, total = 0, int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            n += file.write(chunk)
            if tell is not None:
                tell(remote.name, n, total)
    if digest.hexdigest() != remote.checksum:
        raise ValueError(
            f"{remote.address} sent {n:,} bytes with {remote.kind.upper()} {digest.hexdigest()}, "
            f"not {remote.checksum}: nothing was kept; try again, or fetch it by hand"
        )


@contextmanager
def answered(address: str) -> Iterator[HTTPResponse]:
    """What an address sends; OSError names it where it does not."""
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            yield answer
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise OSError(f"{address} cannot be fetched: {error}") from error


def unpacked(archive: Path, folder: Path) -> bool:
    """Unpack a tar or zip file into an empty folder; False if it is neither."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                if not member.is_dir():
                    _write(_place(folder, member.filename, archive), packed.open(member))
        return True
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as packed:
            for entry in packed:
                if entry.isdir():
                    continue
                content = packed.extractfile(entry) if entry.isreg() else None
                if content is None:
                    raise ValueError(f"{archive.name} holds {entry.name!r}, which is no plain file; nothing was kept")
                _write(_place(folder, entry.name, archive), content)
        return True
    return False


def _place(folder: Path, member: str, archive: Path) -> Path:
    """Where a member goes; ValueError for a name that leads out of the folder.

    >>> _place(Path("data"), "a/b.png", Path("x.zip")).as_posix()
    'data/a/b.png'
    >>> _place(Path("data"), "a/../../b.png", Path("x.zip"))
    Traceback (most recent call last):
    ValueError: x.zip holds 'a/../../b.png', which leads out of its folder; nothing was kept
    """
    parts = PurePosixPath(member).parts
    if not parts or ".." in parts or member.startswith("/") or "\\" in member or ":" in parts[0]:
        raise ValueError(f"{archive.name} holds {member!r}, which leads out of its folder; nothing was kept")
    return folder.joinpath(*parts)


def _write(path: Path, content: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, open(path, "xb") as file:
        shutil.copyfileobj(content, file, CHUNK)


def moved(source: Path, target: Path) -> list[Path]:
    """Rename a file or folder into its place; a folder that is there already is merged, its files replaced."""
    if source.is_dir() and target.is_dir():
        for each in sorted(source.iterdir()):
            moved(each, target / each.name)
    else:
        os.replace(source, target)
    return [target]
