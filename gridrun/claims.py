"""Who is computing what: claims on points, so that no two processes start the same one.

All claims of a store are lines of one journal file, read and extended under an exclusive lock on that same file (an
order that network file systems honour). One line covers a block of points. A dead owner's claims are void: its
process is gone from this machine, or its heartbeat was not seen to change for DEAD_AFTER_S by the one who waits (its
own clock, never a comparison of two). Where a lock cannot be had, a claim is still only advice: two computations of
one point cost time, not truth.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from .errors import StoreError
from .machine import Owner, is_alive, random_name, this_owner
from .segments import disk_error, share_with_group

HEARTBEAT_S = 10.0
DEAD_AFTER_S = 60.0
RESTART_BYTES = 1 << 20


class Claim(NamedTuple):
    """A block of points that one process is computing; `since` is seconds since the epoch by its own clock."""

    id: str
    owner: Owner
    keys: frozenset[bytes]
    since: float
    what: str


class Granted(NamedTuple):
    """What an attempt to claim gave: the claim (if any key was free), the claims in the way of the other keys, and
    the segments that released claims were written to since the last look."""

    claim: Claim | None
    taken: dict[bytes, Claim]
    news: list[str]


class Claims:
    """The claims of one store, as this process sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.live: dict[str, Claim] = {}
        self.held: dict[bytes, str] = {}
        self.epoch = ""
        self.offset = 0
        self.news: list[str] = []
        self.gap = False  # `news` does not name every segment: lines were dropped unread, or their writer died
        self.mutex = threading.RLock()
        self.beats = _Beats(folder)

    def acquire(self, keys: Iterable[bytes], what: str = "") -> Granted:
        """Claim those of `keys` that no living process has claimed."""
        with self._locked() as file:
            free, taken = [], {}
            for key in keys:
                other = self.live.get(self.held.get(key, ""))
                if other is not None and not self._is_dead(other):
                    taken[key] = other
                    continue
                if other is not None:
                    self._write(file, {"release": other.id, "segments": [], "dead": True})
                free.append(key)
            claim = Claim(random_name(), this_owner(), frozenset(free), time.time(), what) if free else None
            if claim:
                keys_text = b"".join(free).hex()
                record = {"claim": claim.id, "owner": claim.owner.as_dict(), "keys": keys_text, "since": claim.since}
                self._write(file, {**record, "what": what})
                self.beats.start(claim.owner)
            return Granted(claim, taken, self._take_news())

    def release(self, claim: Claim, segments: Iterable[str] = ()) -> None:
        """Give up a claim; `segments` names the files its results went to. Another's claim is void: it is dead."""
        with self._locked() as file:
            if claim.id in self.live:
                dead = {} if claim.owner.id == this_owner().id else {"dead": True}
                self._write(file, {"release": claim.id, "segments": sorted(segments), **dead})
            if self.offset > RESTART_BYTES and all(self._is_dead(c) for c in self.live.values()):
                self.live, self.held = {}, {}
                self._restart(file)

    def waiting_for(self, keys: Iterable[bytes]) -> tuple[dict[bytes, Claim], list[str]]:
        """The living claims on `keys`, and the segments written since the last look."""
        with self._locked():
            found = {key: self.live[self.held[key]] for key in keys if self.held.get(key) in self.live}
            return {k: c for k, c in found.items() if not self._is_dead(c)}, self._take_news()

    def snapshot(self) -> list[Claim]:
        """The claims of living or unknown owners, read without taking part."""
        if not self.journal.exists():
            return []
        with self.mutex:
            try:
                with open(self.journal, "rb") as file:
                    self._read(file, repair=False)
            except OSError as error:
                raise StoreError(f"cannot read {self.journal}: {error.strerror}") from error
            return [c for c in self.live.values() if is_alive(c.owner) is not False]

    # ------------------------------------------------------------------------------------------------- the journal
    @contextlib.contextmanager
    def _locked(self) -> Iterator[Any]:
        with self.mutex, self._opened() as file:
            _lock(file.fileno())
            self._read(file, repair=True)
            yield file

    def _opened(self) -> Any:
        """The journal, made if there is none; one call where there is, for on a shared disk each takes its time."""
        try:
            with contextlib.suppress(FileNotFoundError):
                return open(self.journal, "r+b", buffering=0)
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.journal, "a+b", buffering=0)  # noqa: SIM115
            share_with_group(file.fileno(), self.folder)
            return file
        except OSError as error:
            raise disk_error(error, self.journal) from error

    def _read(self, file: Any, repair: bool) -> None:
        """Take in the lines written since the last look; under the lock, cut off a torn last line."""
        file.seek(0)
        first = file.read(64)
        epoch = first.partition(b"\n")[0].decode("ascii", "replace") if b"\n" in first else ""
        if epoch != self.epoch or not epoch:
            self.gap = self.gap or bool(self.epoch)
            self.live, self.held, self.epoch, self.offset = {}, {}, epoch, len(epoch) + 1 if epoch else 0
            if not epoch:
                if repair:
                    self._restart(file)
                return
        file.seek(self.offset)
        new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take_in(line)
        self.offset += len(whole)
        if repair and len(whole) < len(new):
            os.ftruncate(file.fileno(), self.offset)

    def _take_in(self, line: bytes) -> None:
        mark, _, text = line.partition(b" ")
        if mark != xxhash.xxh3_64_hexdigest(text).encode():
            return  # damaged: the claim it may have held is void
        entry = json.loads(text)
        if "claim" in entry:
            raw = bytes.fromhex(entry["keys"])
            keys = frozenset(raw[i : i + 16] for i in range(0, len(raw), 16))
            claim = Claim(entry["claim"], Owner(**entry["owner"]), keys, entry["since"], entry["what"])
            self.live[claim.id] = claim
            self.held.update(dict.fromkeys(keys, claim.id))
            return
        gone = self.live.pop(entry["release"], None)
        for key in gone.keys if gone else ():
            if self.held.get(key) == entry["release"]:
                del self.held[key]
        self.news.extend(entry["segments"])
        self.gap = self.gap or bool(entry.get("dead"))  # it did not say where its results went

    def _write(self, file: Any, entry: dict[str, Any]) -> None:
        text = json.dumps(entry, separators=(",", ":")).encode()
        line = xxhash.xxh3_64_hexdigest(text).encode() + b" " + text + b"\n"
        try:
            written = os.pwrite(file.fileno(), line, self.offset)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), self.offset)
            raise disk_error(error, self.journal) from error
        self.offset += len(line)
        self._take_in(line[:-1])

    def _restart(self, file: Any) -> None:
        """Begin an empty journal: no claim is alive, and its lines are only history."""
        self.epoch = random_name()
        try:
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), self.epoch.encode() + b"\n", 0)
        except OSError as error:
            raise disk_error(error, self.journal) from error
        self.offset = len(self.epoch) + 1

    def take_gap(self) -> bool:
        """Whether `news` may have missed a segment since this was asked last."""
        gap, self.gap = self.gap, False
        return gap

    def _take_news(self) -> list[str]:
        news, self.news = self.news, []
        return news

    def _is_dead(self, claim: Claim) -> bool:
        alive = is_alive(claim.owner)
        return not alive if alive is not None else self.beats.stopped(claim.owner)


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


class _Beats:
    """Heartbeats: a file per process that it touches while it holds claims, and when others were seen to change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[str, tuple[float, float]] = {}
        self.running: int = 0

    def start(self, owner: Owner) -> None:
        if self.running == owner.pid:
            return
        self.running = owner.pid
        threading.Thread(target=self._beat, args=(self.folder / f"{owner.id}.beat",), daemon=True).start()

    @staticmethod
    def _beat(path: Path) -> None:
        pid = os.getpid()
        while os.getpid() == pid:
            time.sleep(HEARTBEAT_S)
            with contextlib.suppress(OSError):
                path.touch()

    def stopped(self, owner: Owner) -> bool:
        """Whether the owner's heartbeat was not seen to change for DEAD_AFTER_S, by this process's own clock."""
        try:
            beat = os.stat(self.folder / f"{owner.id}.beat").st_mtime
        except OSError:
            beat = 0.0
        now = time.monotonic()
        if self.seen.get(owner.id, (None,))[0] != beat:
            self.seen[owner.id] = (beat, now)
        return now - self.seen[owner.id][1] > DEAD_AFTER_S
