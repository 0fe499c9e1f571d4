"""Sending the missing points of a grid to a scheduler.

draft() says what would be sent, script for script, and touches nothing; send() writes the submission, whole, and then
submits its arrays one by one, noting each before and after: killed at any moment, it is gone on with from what is
noted, and from the names of the jobs.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import make_folder, write_whole
from ..grid import AnyGrid
from ..hashing import digest
from ..machine import host_name
from ..progress import duration
from ..runner import Options
from ..store import Store, open_store
from ..template import get
from . import chunks
from .base import Array, Backend, SchedulerDown, SubmissionFailed
from .profile import Profile
from .queue import file_number, has_result, n_failures, queued
from .schedulers import backend_of
from .settings import Settings, merged
from .submission import FORMAT, Sent, Submission, jobs_folder, locked, pickled_functions, write_points

if TYPE_CHECKING:
    from ..sweep import Sweep
    from ..work import Job

KEPT = ("GRIDRUN_DATA", "GRIDRUN_FSYNC")  # of the environment of the one who submits
LATER = re.compile(r"submit limit|max_?submit|max_?jobs|too many|job limit|threshold|try again", re.IGNORECASE)
LOOKED_AT = 200  # stored results whose times say how long a point takes


@dataclass(frozen=True)
class Waiting:
    """A point to send: its function's number, its call, its resources, and the failures that the store has of it."""

    function: int
    job: Job
    settings: Settings
    failures: int


@dataclass(frozen=True)
class Draft:
    """What would be sent, and what would not: see draft()."""

    store: Store
    profile: Profile
    backend: Backend
    manifest: Mapping[str, Any]
    functions: Sequence[Any]
    points: Sequence[Waiting]
    tasks: Sequence[tuple[Settings, list[list[int]]]]  # one entry an array
    n_done: int
    queued: dict[str, int]  # points that wait in other submissions, by token; send() adds what it finds
    notes: Sequence[str] = ()
    salt: int = 0

    @property
    def n_points(self) -> int:
        """How many points would be sent."""
        return len(self.points)

    @property
    def token(self) -> str:
        """The name of the submission: the same points, sent for the same time, have the same."""
        marks = b"".join(point.job.mark for point in self.points)
        return digest(f"{self.store.path}\n{self.salt}\n{self.tasks}".encode() + marks).hex()[:12]

    @property
    def folder(self) -> Path:
        """Where the submission will be."""
        return jobs_folder(self.store.path) / self.token

    @property
    def arrays(self) -> list[Array]:
        """The arrays, as the scheduler would get them."""
        return [self.array(number, len(tasks), settings) for number, (settings, tasks) in enumerate(self.tasks)]

    def array(self, number: int, n_tasks: int, settings: Settings) -> Array:
        return make_array(self.folder, self.manifest, self.profile, number, n_tasks, settings)

    def scripts(self) -> list[tuple[str, str]]:
        """(name, script) of every array, byte for byte as it would be submitted."""
        return [(array.name, self.backend.render(array)) for array in self.arrays]

    @property
    def settings(self) -> list[tuple[Settings, int, int]]:
        """(resources, points, tasks) of every kind of task."""
        found: dict[Settings, tuple[int, int]] = {}
        for settings, tasks in self.tasks:
            n_points, n_tasks = found.get(settings, (0, 0))
            found[settings] = n_points + sum(map(len, tasks)), n_tasks + len(tasks)
        return [(settings, *numbers) for settings, numbers in found.items()]

    @property
    def note(self) -> str:
        """How the sizes of the tasks were found."""
        return "; ".join(self.notes)


def draft(
    grid: AnyGrid,
    func: Callable[..., Any] | str,
    *,
    profile: Profile,
    root: str | os.PathLike[str] | None = None,
    names: Mapping[str, int] | None = None,
    command_line: Mapping[str, Any] | None = None,
    snapshot: bool = False,
    argv: Sequence[str] = (),
    force: bool = False,
    n_workers: int = 1,
    cache_dir: Any = None,
    backend: Backend | None = None,
) -> Callable[..., Draft]:
    """What of a grid would be sent to a scheduler: draft(grid, func, profile=...)(templates), as run().

    names: how many of the points belong to which experiment. command_line: settings that win over all others.
    snapshot: the tasks run a copy of the code. n_workers: points side by side in each task. force: send computed
    points too. Raises UsageError for a function that is not cachable (its results would have no place to go), for a
    point that cannot be pickled, and for settings that cannot be.
    """

    def call(*args: Any, **kwargs: Any) -> Draft:
        from ..sweep import Sweep

        options = Options(run_mode="force" if force else "normal", cache_dir=cache_dir, load=False)
        sweep = Sweep(grid, func, options, args, kwargs)
        sweep.look()
        if not force:
            sweep.look_again()
        sender = Sender(profile, root, names, command_line, snapshot, argv, n_workers, backend)
        return sender.draft(sweep)

    return call


@dataclass
class Sender:
    """Who sends, and how; see draft()."""

    profile: Profile
    root: str | os.PathLike[str] | None = None
    names: Mapping[str, int] | None = None
    command_line: Mapping[str, Any] | None = None
    snapshot: bool = False
    argv: Sequence[str] = ()
    n_workers: int = 1
    backend: Backend | None = None
    merges: dict[str, Settings] = field(default_factory=dict)

    def draft(self, sweep: Sweep) -> Draft:
        """What of a sweep's misses would be sent."""
        store = sweep.store or open_store(sweep.options.cache_dir)
        others = queued(store)
        functions: list[Any] = []
        waiting: list[Waiting] = []
        n_queued: dict[str, int] = {}
        for plan, job, number in sweep.work():
            if plan.cached is None:
                name = getattr(plan.function, "__name__", "the function")
                raise UsageError(f"{name} is not @cachable, so what another machine computes could not come back")
            if job.mark in others:
                token = others[job.mark]
                n_queued[token] = n_queued.get(token, 0) + 1
                continue
            if plan.function not in functions:
                functions.append(plan.function)
            settings = self._settings(get(sweep.points[number], "launch_settings", None))
            waiting.append(Waiting(functions.index(plan.function), job, settings, n_failures(store, job.key)))
        backend = self.backend or backend_of(self.profile)
        n_done = len(sweep.points) - len(waiting) - sum(n_queued.values())
        salt = _last_change(jobs_folder(store.path))
        manifest = self._manifest(store, functions)
        found = Draft(store, self.profile, backend, manifest, functions, waiting, [], n_done, n_queued, salt=salt)
        return with_tasks(found)

    def _settings(self, of_point: Any) -> Settings:
        name = repr(of_point)
        if name not in self.merges:
            point, line = ("launch_settings", of_point or {}), ("-launch", self.command_line or {})
            self.merges[name] = merged(self.profile.layer, point, line)
        return self.merges[name]

    def _manifest(self, store: Store, functions: Sequence[Any]) -> dict[str, Any]:
        from ..plan import cached_of
        from ..study import study_root
        from .snapshot import code_record

        root = os.path.abspath(self.root or study_root())
        described = [(cached, cached.fingerprint) for f in functions if (cached := cached_of(f)) is not None]
        return {
            "format": FORMAT,
            "user": getpass.getuser(),
            "host": host_name(),
            "argv": list(self.argv or sys.argv),
            "experiments": dict(self.names or {}),
            "mode": self.profile.name,
            "profile": self.profile.as_dict(),
            "command_line": dict(self.command_line or {}),
            "root": root,
            "store": str(store.path),
            "snapshot": self.snapshot,
            "python": self.profile.interpreter,
            "n_workers": self.n_workers,
            "environment": {name: os.environ[name] for name in KEPT if name in os.environ},
            "path": os.environ.get("PYTHONPATH", ""),
            "functions": [
                {"table": cached.table, "function": cached.identity, "code": code.digest.hex()}
                for cached, code in described
            ],
            "code_record": code_record(Path(root), self.profile.setup) if functions else {},
        }


def _last_change(folder: Path) -> int:
    """When a submission last came or went, in nanoseconds; 0 if there was none."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def with_tasks(found: Draft) -> Draft:
    """A draft with its points dealt to tasks, and these to arrays."""
    groups: dict[Settings, list[int]] = {}
    for number, point in enumerate(found.points):
        groups.setdefault(point.settings, []).append(number)
    largest = found.backend.max_array() if groups else 1
    largest = min(largest, found.profile.max_array or largest)
    arrays: list[tuple[Settings, list[list[int]]]] = []
    notes = []
    for settings, numbers in groups.items():
        size, note = _size(found, settings, numbers)
        notes.append(note)
        arrays += [(settings, tasks) for tasks in chunks.split(chunks.dealt(numbers, size), largest)]
    return replace(found, tasks=arrays, notes=notes)


def _size(found: Draft, settings: Settings, numbers: Sequence[int]) -> tuple[int, str]:
    """Points for a task of these, and why."""
    if settings.chunk is not None:
        return settings.chunk, f"{_points(settings.chunk)} a task, as asked for"
    point_s, source = settings.point_s, "as stated"
    if point_s is None:
        tables = {found.manifest["functions"][found.points[n].function]["table"] for n in numbers}
        times = [seconds for table in tables for seconds in _times(found.store, table)]
        point_s, source = (statistics.median(times), f"the median of {len(times)} before") if times else (None, "")
    size = chunks.chunk_size(len(numbers), point_s, found.profile.task_min, settings.timeout_min)
    told = f"{_points(size)} a task"
    if point_s is None:
        return size, f"{told}: how long one takes is not known yet (-launch=point_s=SECONDS states it)"
    return size, f"{told}: one takes {duration(point_s) if point_s >= 1 else f'{point_s:.2g} s'}, {source}"


def _points(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"


def _times(store: Store, table: str) -> list[float]:
    """Seconds that the latest stored results of a table took."""
    times: list[float] = []
    for record in store.records(table):
        if record.state == "done":
            times.append(record.seconds)
        if len(times) == LOOKED_AT:
            break
    return times


def make_array(
    folder: Path, manifest: Mapping[str, Any], profile: Profile, number: int, n_tasks: int, settings: Settings
) -> Array:
    """An array of a submission as the scheduler gets it."""
    code = code_folder(folder, manifest)
    environment = {
        **manifest["environment"],
        "PYTHONPATH": python_path(code, str(manifest["root"]), manifest["path"]),
        "GRIDRUN_SESSIONS": manifest["store"],
        "GRIDRUN_CHECKPOINT_S": f"{profile.checkpoint_s:g}",
    }
    name = f"gridrun-{folder.name}-{number}"
    python, setup = manifest["python"], (f"cd {shlex.quote(code)}", *profile.setup)
    return Array(name, folder / str(number), n_tasks, settings, setup, python, profile.parallel, environment)


def code_folder(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Where the tasks of a submission find the study's code."""
    return str(folder / "code") if manifest["snapshot"] else str(manifest["root"])


def python_path(code: str, root: str, path: str) -> str:
    """PYTHONPATH of a task: the study's code, then gridrun as it is imported here (if that is not part of the study),
    then what there was."""
    package = str(Path(__file__).resolve().parents[2])
    own = [] if package == os.path.realpath(root) else [package]
    return os.pathsep.join(dict.fromkeys([code, *own, *filter(None, path.split(os.pathsep))]))


def send(plan: Draft) -> Submission | None:
    """Write what a draft says and submit it; None if nothing is left to send.

    Points that another process sent, or finished, meanwhile are left out. Raises SubmissionFailed if the scheduler
    refuses the first array, SchedulerDown if it cannot be asked: then the submission is there, and resume goes on with
    it.
    """
    folder = jobs_folder(plan.store.path)
    plan.store.check_writable()
    make_folder(folder)
    with locked(folder / "lock"):
        plan = _without_queued(plan)
        if not plan.points:
            return None
        submission = _write(plan)
    with submission.locked():
        submit_arrays(submission, plan.backend, plan.profile)
    return submission


def _without_queued(plan: Draft) -> Draft:
    """The draft without points that were sent, or finished, since it was made."""
    plan.store.refresh()
    others, left, n_done = queued(plan.store), [], plan.n_done
    for point in plan.points:
        if token := others.get(point.job.mark):
            plan.queued[token] = plan.queued.get(token, 0) + 1
        elif has_result(plan.store, point.job.key, point.job.session):
            n_done += 1
        else:
            left.append(point)
    if len(left) == len(plan.points) and not plan.folder.exists():
        return plan
    return with_tasks(replace(plan, points=left, n_done=n_done, salt=plan.salt + time.time_ns()))


def _write(plan: Draft) -> Submission:
    """The submission's folder, written aside and renamed."""
    aside = plan.folder.with_name(f".{plan.token}.part")
    make_folder(aside)
    for function in plan.functions:
        cached = function.__gridrun__
        plan.store.claim_table(cached.table, cached.identity)
    write_whole(aside / "functions.pkl", pickled_functions(plan.functions))
    write_points(aside, [(point.function, point.job, point.failures) for point in plan.points])
    if plan.manifest["snapshot"]:
        from .snapshot import copy_code

        copy_code(Path(plan.manifest["root"]), aside / "code", [plan.store.path])
    submission = Submission(aside)
    for number, (settings, tasks) in enumerate(plan.tasks):
        array = plan.array(number, len(tasks), settings)
        sent = Sent(number, array.name, aside / str(number), tasks, settings)
        submission.add_array(sent, plan.backend.render(array), call_of(array.folder, plan.profile, settings))
    created = {
        "token": plan.token,
        "created": time.time(),
        "code": code_folder(plan.folder, plan.manifest),
        "store_file": file_number(plan.store.path),
    }
    write_whole(aside / "manifest.json", json.dumps({**plan.manifest, **created}, indent=1).encode())
    os.replace(aside, plan.folder)
    return Submission(plan.folder)


def call_of(array_folder: Path, profile: Profile, settings: Settings) -> bytes:
    """What submitit runs in every task of an array: a call with nothing but the array's folder in it."""
    import cloudpickle
    from submitit.core.utils import DelayedSubmission

    from .worker import Task

    delayed = DelayedSubmission(Task(str(array_folder)))
    delayed.set_timeout(settings.timeout_min, profile.retries)
    return bytes(cloudpickle.dumps(delayed))


def submit_arrays(
    submission: Submission, backend: Backend, profile: Profile, wanted: Callable[[Sent], bool] = lambda sent: True
) -> int:
    """Submit the arrays that no job is known of and that are wanted; how many. The caller holds the submission's lock.

    Raises SubmissionFailed; SchedulerDown also where the scheduler takes no more jobs of this user for now.
    """
    n_sent = 0
    events = submission.events()
    known = {event["array"] for event in events if event["event"] in ("submitted", "refused")}
    for sent in submission.arrays():
        if sent.number in known or not wanted(sent):
            continue
        array = make_array(submission.folder, submission.manifest, profile, sent.number, len(sent.tasks), sent.settings)
        submission.note("submitting", array=sent.number)
        try:
            job = backend.submit(array, (sent.folder / "script.sh").read_text())
        except SubmissionFailed as error:
            if LATER.search(str(error)):
                submission.note("put off", array=sent.number, why=str(error))
                raise SchedulerDown(str(error)) from error
            submission.note("refused", array=sent.number, why=str(error))
            if not any(event["event"] == "submitted" for event in submission.events()):
                submission.close(f"refused: {error}")
            raise
        except SchedulerDown as error:
            submission.note("not submitted", array=sent.number, why=str(error))
            raise
        submission.note("submitted", array=sent.number, job=job)
        n_sent += 1
    return n_sent
