"""Downloading, from a server of our own: whole or not at all, and nothing outside its folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gridrun.data import download
from gridrun.data.download import FILES, MITDB, Listed, Remote, fetch

Publish = Callable[..., Remote]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publish(tmp_path: Path) -> Iterator[Publish]:
    """Put bytes on a server: publish("a.gz", data) is the file as it is published."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def put(name: str, data: bytes, sent: bytes | None = None, under: str = "") -> Remote:
        (folder / name).write_bytes(data if sent is None else sent)
        return Remote(f"http://127.0.0.1:{server.server_port}/{name}", hashlib.md5(data).hexdigest(), under)

    yield put
    server.shutdown()
    thread.join()
    server.server_close()


def tar(*members: tuple[str, bytes], link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
        if link is not None:
            entry = tarfile.TarInfo("batches/link")
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            file.addfile(entry)
    return buffer.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_an_archive_leaves_its_members_and_itself_not(publish: Publish, tmp_path: Path) -> None:
    remote = publish("a.tar.gz", tar(("batches/one", b"1"), ("batches/two", b"2" * 3_000_000)))
    told: list[tuple[str, int, int]] = []
    assert fetch(remote, tmp_path / "data", lambda *step: told.append(step)) == [tmp_path / "data" / "batches"]
    assert files(tmp_path / "data") == ["batches/one", "batches/two"]
    size = len(tar(("batches/one", b"1"), ("batches/two", b"2" * 3_000_000)))
    assert told[-1] == ("a.tar.gz", size, size)


def test_archives_of_one_data_set_share_a_folder_and_replace_what_is_there(publish: Publish, tmp_path: Path) -> None:
    for name, data in [("a.zip", zipped(("G/Train/1", b"1"))), ("b.zip", zipped(("G/Test/2", b"2"), ("gt.csv", b"x")))]:
        fetch(publish(name, data, under="gtsrb"), tmp_path / "data")
    fetch(publish("c.zip", zipped(("G/Train/1", b"new")), under="gtsrb"), tmp_path / "data")
    assert files(tmp_path / "data" / "gtsrb") == ["G/Test/2", "G/Train/1", "gt.csv"]
    assert (tmp_path / "data" / "gtsrb" / "G" / "Train" / "1").read_bytes() == b"new"


def test_a_file_of_its_own_goes_to_its_folder(publish: Publish, tmp_path: Path) -> None:
    remote = publish("labels.gz", gzip.compress(b"1 2 3"), under="MNIST/raw")
    assert fetch(remote, tmp_path / "data") == [tmp_path / "data" / "MNIST" / "raw" / "labels.gz"]


def test_what_is_not_the_published_file_is_not_kept(publish: Publish, tmp_path: Path) -> None:
    remote = publish("a.zip", zipped(("x", b"1")), sent=b"<html>come back later</html>")
    with pytest.raises(ValueError, match=r"a\.zip sent 28 bytes with MD5 .*nothing was kept"):
        fetch(remote, tmp_path / "data")
    assert files(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tar(("batches/one", b"1"), ("../evil", b"2")), r"'\.\./evil', which leads out"),
        (tar(("/etc/evil", b"2")), "'/etc/evil', which leads out"),
        (tar(("batches/one", b"1"), link="/etc/passwd"), "'batches/link', which is no plain file"),
        (zipped(("ok", b"1"), ("a/../../evil", b"2")), "which leads out"),
        (zipped(("C:evil", b"2")), "which leads out"),
        (zipped(("..\\evil", b"2")), "which leads out"),
    ],
)
def test_members_that_lead_elsewhere_are_refused(
    publish: Publish, tmp_path: Path, archive: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fetch(publish("a", archive), tmp_path / "data")
    assert files(tmp_path / "data") == [] and not (tmp_path / "evil").exists()


def test_an_address_that_does_not_answer_is_named(publish: Publish, tmp_path: Path) -> None:
    there = publish("a", b"1")
    with pytest.raises(OSError, match=r"/absent cannot be fetched: HTTP Error 404"):
        fetch(Remote(there.address.replace("/a", "/absent"), there.checksum), tmp_path)


def test_a_data_set_fetched_is_one_that_loads(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the server to tensors, by a CIFAR of two images a file."""
    from gridrun.data.cifar import Cifar

    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    raw = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 2]}, protocol=2)
    monkeypatch.setitem(FILES, "cifar10", [publish("c.tar.gz", tar(("batches/train", raw), ("batches/test", raw)))])
    assert download.download("cifar10", tmp_path / "data") == [tmp_path / "data" / "batches"]
    md5 = hashlib.md5(raw).hexdigest()
    source = Cifar("c", "batches", "", {"train": md5}, {"test": md5}, "labels", 10, (0, 0, 0), (1, 1, 1))
    assert source.splits(tmp_path / "data").train[1].tolist() == [1, 2]


def test_files_are_checked_by_the_list_beside_them(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {"1.hea": b"header", "1.dat": b"signal"}
    lines = [f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in contents.items()]
    sums = publish("SHA256SUMS.txt", "\n".join(lines).encode())
    address = sums.address.removesuffix("SHA256SUMS.txt")
    for name, content in contents.items():
        publish(name, content)
    monkeypatch.setitem(FILES, "ecg", Listed(address, list(contents), "mitdb"))
    download.download("ecg", tmp_path / "data")
    assert {name: (tmp_path / "data" / "mitdb" / name).read_bytes() for name in contents} == contents
    (tmp_path / "data" / "mitdb" / "1.hea").write_bytes(b"damaged")
    told: list[str] = []
    download.download("ecg", tmp_path / "data", lambda name, *_: told.append(name))
    assert told == ["1.hea"]  # what is there as published is not fetched again
    publish("1.dat", b"other signal")
    with pytest.raises(ValueError, match=r"1\.dat sent 12 bytes with SHA256 .*nothing was kept"):
        download.download("ecg", tmp_path / "again")
    with pytest.raises(ValueError, match=r"SHA256SUMS\.txt has no SHA-256 of 2\.dat"):
        Listed(address, ["1.dat", "2.dat"], "mitdb").remotes()


def test_the_heartbeats_are_44_records_of_three_files() -> None:
    assert len(MITDB.names) == len(set(MITDB.names)) == 132
    assert {"100.hea", "234.atr"} <= set(MITDB.names) and not {"102.dat", "107.dat", "110.dat"} & set(MITDB.names)


def test_digits_are_not_fetched() -> None:
    with pytest.raises(ValueError, match="digits is not fetched; there are cifar10, cifar100, mnist"):
        download.download("digits")


def test_every_other_data_set_has_its_addresses() -> None:
    from gridrun.data import KNOWN

    by_hand = {"spoken_digits", "speech_kws01"}  # a repository to clone
    assert set(FILES) == {name for name, about in KNOWN.items() if "offline" not in about.source} - by_hand
    for remote in (each for remotes in FILES.values() if isinstance(remotes, list) for each in remotes):
        assert remote.address.startswith("http") and len(remote.checksum) == 32
