"""sessions/jobs/<token>/: what was sent to a scheduler together, and what became of it.

    manifest.json     who sent what from where: experiments, code, packages, profile, resources
    functions.pkl     the functions to call, by the names of their modules
    points.pkl        the points to compute, in blocks; points.idx: key, mark, id and place of each
    events.jsonl      what happened: submitted as job 123, a task died, its points were sent again, cancelled, closed
    lock              held by the process that submits or judges
    <n>/              one job array: array.json (which points in which task), script.sh, call.pkl, logs/, leases/

The folder appears whole, by a rename, before anything is submitted. It is read by the tasks and by status, resume and
the others; results never go here, but straight into the store.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import json
import mmap
import os
import pickle
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ..errors import MissingKey, StoreError, UsageError
from ..files import make_folder, write_whole
from ..segments import disk_error, share_with_group
from .chunks import numbers_of, spans

if TYPE_CHECKING:
    from ..work import Job
    from .settings import Settings

FORMAT = 1
ROW = struct.Struct("<16s16s16sIIQII")  # key, mark, id, function, failures before, block's offset and size, place in it
BLOCK = 64  # points that are pickled together, so that what they share is written once


class PointRow(NamedTuple):
    """Where a point stands: what it is stored under, and where its call lies."""

    key: bytes
    mark: bytes
    session: bytes
    function: int
    failures: int  # how many failures of it the store had when it was sent
    offset: int
    size: int
    place: int

    @property
    def id(self) -> str:
        """The id of its result."""
        return self.session.hex()


class Rows(Sequence[PointRow]):
    """The rows of points.idx, each unpacked when it is asked for: a task looks at a few of a million."""

    def __init__(self, raw: mmap.mmap) -> None:
        self.raw = raw
        self.size = len(raw) // ROW.size

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, number: int) -> PointRow: ...
    @overload
    def __getitem__(self, number: slice) -> list[PointRow]: ...
    def __getitem__(self, number: int | slice) -> PointRow | list[PointRow]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(self.size))]
        if not 0 <= number < self.size:
            raise IndexError(f"point {number} of {self.size}")
        return PointRow(*ROW.unpack_from(self.raw, number * ROW.size))

    def __iter__(self) -> Iterator[PointRow]:
        return (PointRow(*fields) for fields in ROW.iter_unpack(self.raw))


class Sent(NamedTuple):
    """One array of a submission: the numbers of the points of each task, and the resources it asked for.

    careful: its tasks take points one by one, to tell which one ends them.
    """

    number: int
    name: str
    folder: Path
    tasks: list[list[int]]
    settings: Settings
    careful: bool = False


class Submission:
    """One folder of sessions/jobs/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = folder.name

    def __repr__(self) -> str:
        return f"Submission({str(self.folder)!r})"

    # ------------------------------------------------------------------------------------------------- what was sent
    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        """Who sent what from where. Raises StoreError if the file is not what was written."""
        path = self.folder / "manifest.json"
        try:
            found = json.loads(path.read_bytes())
            if found["format"] != FORMAT:
                raise StoreError(f"{path} has format {found['format']}; this version of gridrun reads {FORMAT}")
            return dict(found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path} cannot be read: {error}") from error

    @functools.cached_property
    def damage(self) -> str:
        """What cannot be read of it; "" if all can."""
        try:
            return "" if self.manifest and len(self.rows) else "no points"
        except OSError as error:
            return str(error)

    @property
    def created(self) -> float:
        """Seconds since the epoch; 0 if the manifest is damaged."""
        try:
            return float(self.manifest["created"])
        except (StoreError, KeyError, TypeError, ValueError):
            return 0.0

    @functools.cached_property
    def rows(self) -> Rows:
        """Every point of the submission; only what is looked at is read."""
        path = self.folder / "points.idx"
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size or size % ROW.size:
                raise StoreError(f"{path} is damaged: {size} bytes")
            return Rows(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def functions(self) -> list[Callable[..., Any]]:
        """The functions of the points. Imports their modules."""
        return list(pickle.loads((self.folder / "functions.pkl").read_bytes()))

    def jobs(self, numbers: Sequence[int]) -> list[Job]:
        """The calls of these points."""
        blocks: dict[int, list[Job]] = {}
        found = []
        with open(self.folder / "points.pkl", "rb") as file:
            for number in numbers:
                row = self.rows[number]
                if row.offset not in blocks:
                    file.seek(row.offset)
                    blocks[row.offset] = pickle.loads(file.read(row.size))
                found.append(blocks[row.offset][row.place])
        return found

    def arrays(self) -> list[Sent]:
        """The arrays, in the order of their numbers."""
        from .settings import Settings

        found = []
        for path in self._array_files():
            each = json.loads(path.read_bytes())
            tasks = [numbers_of(text) for text in each["tasks"]]
            settings = Settings(**each["settings"])
            found.append(Sent(each["number"], each["name"], path.parent, tasks, settings, each["careful"]))
        return sorted(found)

    def n_arrays(self) -> int:
        """How many arrays there are."""
        return sum(1 for _ in self._array_files())

    def _array_files(self) -> Iterator[Path]:
        """array.json of each whole array; what a crash left half-written has another name."""
        return (path for path in self.folder.glob("*/array.json") if path.parent.name.isdigit())

    def add_array(self, sent: Sent, script: str, call: bytes) -> None:
        """Write the folder of an array; whole or absent."""
        aside = sent.folder.with_name(f".{sent.folder.name}.part")
        for name in ("logs", "leases"):
            make_folder(aside / name)
        content = {
            "number": sent.number,
            "name": sent.name,
            "tasks": [spans(task) for task in sent.tasks],
            "settings": sent.settings.as_dict(),
            "careful": sent.careful,
        }
        write_whole(aside / "script.sh", script.encode())
        write_whole(aside / "call.pkl", call)
        write_whole(aside / "array.json", json.dumps(content).encode())
        os.replace(aside, sent.folder)

    # --------------------------------------------------------------------------------------------- what became of it
    def events(self) -> list[dict[str, Any]]:
        """What happened, in order; a line that a crash tore is left out."""
        try:
            raw = (self.folder / "events.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for line in raw.splitlines():
            with contextlib.suppress(ValueError):
                found.append(dict(json.loads(line)))
        return found

    def events_size(self) -> int:
        """Bytes of the events so far: it grows when there are more."""
        try:
            return os.stat(self.folder / "events.jsonl").st_size
        except OSError:
            return 0

    def note(self, event: str, **details: Any) -> None:
        """Add a line to what happened."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **details}).encode()
        path = self.folder / "events.jsonl"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                _share(descriptor, self.folder)
                os.write(descriptor, b"\n" + line + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise disk_error(error, path) from error

    @property
    def is_closed(self) -> bool:
        """Whether nothing of it is left to do."""
        return (self.folder / "closed").exists()

    def close(self, why: str) -> None:
        """Say that nothing is left to do."""
        self.note("closed", why=why)
        write_whole(self.folder / "closed", why.encode(), durable=False)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with this submission; waits for the process that submits or judges it."""
        with locked(self.folder / "lock"):
            yield


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; where the file system has no locks, this is only a wish."""
    try:
        file = open(path, "a")  # noqa: SIM115
    except OSError as error:
        raise disk_error(error, path) from error
    with file:
        _share(file.fileno(), path.parent)
        with contextlib.suppress(OSError):
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def _share(descriptor: int, folder: Path) -> None:
    """Let the group write to a file of ours, where it may to the folder; others of the group share it with us."""
    if os.fstat(descriptor).st_uid == os.geteuid():
        share_with_group(descriptor, folder)


# ----------------------------------------------------------------------------------------------------------- the folder
def jobs_folder(store_path: str | os.PathLike[str]) -> Path:
    """Where the submissions of a store are."""
    return Path(store_path) / "jobs"


def submissions(store_path: str | os.PathLike[str]) -> list[Submission]:
    """Every submission of a store, newest first; those whose manifest is damaged last."""
    try:
        folders = [f for f in jobs_folder(store_path).iterdir() if (f / "manifest.json").is_file() and f.name[0] != "."]
    except FileNotFoundError:
        return []
    return sorted(map(Submission, folders), key=lambda s: s.created, reverse=True)


def find_submission(store_path: str | os.PathLike[str], prefix: str) -> Submission:
    """The submission whose token begins with `prefix`. Raises MissingKey if there is none, or more than one."""
    listed = submissions(store_path)
    found = [submission for submission in listed if submission.token.startswith(prefix)]
    if len(found) > 1:
        raise MissingKey(f"{len(found)} submissions begin with {prefix!r}; give more digits")
    if not found:
        known = ", ".join(submission.token for submission in listed[:5]) or "none"
        raise MissingKey(f"no submission {prefix!r} in {jobs_folder(store_path)}; the newest are {known}")
    return found[0]


def write_points(folder: Path, points: Iterable[tuple[int, Job, int]]) -> int:
    """Write (function's number, job, failures before) of each point; how many there are.

    Raises UsageError for a point that cannot be pickled.
    """
    index, listed = io.BytesIO(), list(points)
    with open(folder / "points.pkl", "wb") as file:
        for start in range(0, len(listed), BLOCK):
            block = listed[start : start + BLOCK]
            raw, offset = _pickled([job for _, job, _ in block]), file.tell()
            file.write(raw)
            for place, (function, job, failures) in enumerate(block):
                session = bytes.fromhex(job.session)
                index.write(ROW.pack(job.key, job.mark, session, function, failures, offset, len(raw), place))
        _share(file.fileno(), folder)
        file.flush()
        os.fsync(file.fileno())
    write_whole(folder / "points.idx", index.getvalue())
    return len(listed)


def pickled_functions(functions: Sequence[Callable[..., Any]]) -> bytes:
    """Functions by the names of their modules, or by value where they have none (a script, a notebook)."""
    return _pickled(list(functions))


def _pickled(what: Any) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(what))
    except Exception as error:
        raise UsageError(f"{_culprit(what)} cannot be sent to another machine: {error}") from error


def _culprit(what: Any) -> str:
    """The first thing of a list that cannot be pickled, in words."""
    import cloudpickle

    for each in what:
        try:
            cloudpickle.dumps(each)
        except Exception:
            dependencies = getattr(each, "dependencies", None)
            if not isinstance(dependencies, Mapping):
                return repr(each)
            return "the point with " + ", ".join(f"{k}={v!r:.40}" for k, v in list(dependencies.items())[:6])
    return "a point"
