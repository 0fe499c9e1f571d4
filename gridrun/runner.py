"""run(grid, func, ...)("{template}"): a function over a grid, each point computed once.

What happens to a point: its templates are filled (arguments.py), the arguments become a key (cache.py), the store is
asked (lookup.py); a miss is claimed, computed and stored (schedule.py, work.py), and its result handed out in the
grid's order. explain() goes the same way and stops before computing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import study
from .arguments import Arguments, ByName, Shape
from .cache import Cached, Keying
from .errors import GridrunError, NotComputed, UsageError
from .grid import AnyGrid, points
from .hashing import SessionId
from .lookup import MISS, Found, Lookup
from .progress import Progress
from .schedule import Schedule, Team
from .store import DamagedFile, Store, open_store
from .template import format_template, get
from .work import Failed, Job, Outcome

RUN_MODES = ("normal", "force", "load", "load_any")
ON_ERROR = ("raise", "store")
SHOWN = 3  # how many points a message describes


class GridrunWarning(UserWarning):
    """Something a researcher should know about results that were used all the same."""


@dataclass(frozen=True)
class PointState:
    """What is known of a point: `state` is cached, done (just computed), failed, stale, running or missing."""

    state: str
    id: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Options:
    n_threads: int = 1
    run_mode: str = "normal"
    cache_dir: Any = None
    store_key: str | None = None
    mode: str | None = None
    on_error: str = "raise"
    progress: bool | None = None
    backend: str = "threads"
    wait_s: float | None = None
    load: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (("run_mode", self.run_mode, RUN_MODES), ("on_error", self.on_error, ON_ERROR)):
            if value not in known:
                raise UsageError(f"run({name}={value!r}); it is one of {', '.join(known)}")
        if self.mode not in (None, "local"):
            raise UsageError(f"run(mode={self.mode!r}); this version computes on this machine: mode is None or 'local'")


def run(
    grid: AnyGrid,
    func: Callable[..., Any] | str,
    n_threads: int = 1,
    run_mode: str = "normal",
    cache_dir: Any = None,
    store_key: str | None = None,
    mode: str | None = None,
    on_error: str = "raise",
    progress: bool | None = None,
    backend: str = "threads",
    wait_s: float | None = None,
) -> Callable[..., list[Any]]:
    """Call a function for every point: run(grid, f)("{seed}", level="{level}").

    func: a callable, or the key of one in each point (which may be a template). Only str arguments are templates;
        without any argument the function's parameters are filled from the point by name.
    n_threads, backend: points side by side, in "threads" or "processes".
    run_mode: "normal"; "force" (compute anew; the old result stays as history); "load" (never compute: NotComputed if
        something is missing); "load_any" (never compute: points that are missing are left out).
    cache_dir: the store; by default $GRIDRUN_SESSIONS, or sessions/ under the study's root.
    store_key: None gives the list of results; a name gives copies of the points with the result under it; "*" gives
        copies updated with the dict that the function returned. The points of a cachable function also get
        `session_id` and `<table_name>_session_id`.
    on_error: "raise" the first error after all other points are finished, or "store" a Failed in its place.
    progress: True or False; by default shown for runs of over a second, and not in tests.
    wait_s: how long to wait for points that another process computes; by default as long as it lives.

    >>> run([{"a": 1, "b": 2}, {"a": 3, "b": 4}], lambda x, y: x + y)("{a}", "{b}")
    [3, 7]
    >>> run({"a": 5}, abs, store_key="size")("{a}")
    [{'a': 5, 'size': 5}]
    """
    options = Options(n_threads, run_mode, cache_dir, store_key, mode, on_error, progress, backend, wait_s)
    return lambda *args, **kwargs: _Run(grid, func, options, args, kwargs).results()


def ensure(grid: AnyGrid, func: Callable[..., Any] | str, **options: Any) -> Callable[..., list[PointState]]:
    """As run(), for its effect: computes what is missing, loads nothing, tells the state of every point."""
    chosen = Options(**{"on_error": "store", **options}, load=False)
    return lambda *args, **kwargs: _Run(grid, func, chosen, args, kwargs).states()


def explain(grid: AnyGrid, func: Callable[..., Any] | str, cache_dir: Any = None) -> Callable[..., list[PointState]]:
    """A dry run: for each point cached, running (elsewhere), failed (before), stale (which code changed) or missing."""
    options = Options(cache_dir=cache_dir, load=False)
    return lambda *args, **kwargs: _Run(grid, func, options, args, kwargs).explained()


@dataclass
class _Group:
    """The points of one function."""

    function: Callable[..., Any]
    cached: Cached | None
    filler: Arguments | ByName
    lookup: Lookup | None = None
    keyings: dict[Shape, Keying] = field(default_factory=dict)

    def keying(self, shape: Shape) -> Keying:
        found = self.keyings.get(shape)
        if found is None:
            assert self.cached is not None
            found = self.keyings[shape] = Keying(self.cached, *shape)
        return found


@dataclass
class _Miss:
    """A point that has no result yet; `twins` are the later points with the same key."""

    group: _Group
    number: int
    shape: Shape
    values: list[Any]
    twins: list[int] = field(default_factory=list)


class _Run:
    """One call of run(), from the grid to its results."""

    def __init__(self, grid: AnyGrid, func: Any, options: Options, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.points = points(grid)
        self.options = options
        self.args, self.kwargs = args, kwargs
        self.store: Store | None = None
        self.values: list[Any] = [MISS] * len(self.points)
        self.ids: dict[int, str] = {}
        self.copies: dict[int, dict[str, Any]] = {}
        self.misses: dict[bytes, _Miss] = {}
        self.fresh: set[int] = set()
        self.exception: BaseException | None = None
        self.n_failed = 0
        self.groups = self._group(func)

    # ------------------------------------------------------------------------------------------------------ preparing
    def _group(self, func: Any) -> list[tuple[_Group, Sequence[int]]]:
        if callable(func):
            return [(self._new_group(func), range(len(self.points)))]
        if not isinstance(func, str):
            raise UsageError(f"run(grid, {func!r:.60}); it takes a function, or the key of one")
        members: dict[int, tuple[_Group, list[int]]] = {}
        for number, point in enumerate(self.points):
            function = get(point, str(format_template(point, func)))
            if not callable(function):
                raise UsageError(f"the key {func!r} of this point is no function but {function!r:.60}")
            if id(function) not in members:
                members[id(function)] = (self._new_group(function), [])
            members[id(function)][1].append(number)
        return list(members.values())

    def _new_group(self, function: Callable[..., Any]) -> _Group:
        cached = getattr(function, "__gridrun__", None)
        by_name = not self.args and not self.kwargs
        group = _Group(function, cached, ByName(function) if by_name else Arguments(self.args, self.kwargs))
        if cached is not None:
            if self.store is None:
                self.store = open_store(self.options.cache_dir)
                self.store.refresh(max_age_s=1.0)
            group.lookup = Lookup(cached, self.store)
        return group

    def look(self) -> None:
        """Fill in what the store has, and note what it has not."""
        for group, numbers in self.groups:
            if group.lookup is None:
                for number in numbers:
                    shape, values = group.filler.fill(self.points[number])
                    self.misses[number.to_bytes(8, "big")] = _Miss(group, number, shape, values)
            else:
                assert self.store is not None and group.cached is not None
                self.store.claim_table(group.cached.table, group.cached.identity)
                self._look_up(group, group.lookup, numbers)

    def _look_up(self, group: _Group, lookup: Lookup, numbers: Sequence[int]) -> None:
        quick = self.options.load and self.options.store_key is None and self.options.run_mode != "force"
        listed, results = self.points, self.values
        fill, value_of, shape_now, key_of = group.filler.fill, lookup.value, None, None
        for number in numbers:
            shape, values = fill(listed[number])
            if shape is not shape_now:
                shape_now, key_of = shape, group.keying(shape).key
            assert key_of is not None
            key = key_of(values)
            if quick:
                value = value_of(key)
                if value is not MISS:
                    results[number] = value
                    continue
            self._look_closely(group, lookup, key, _Miss(group, number, shape, values))

    def _look_closely(self, group: _Group, lookup: Lookup, key: bytes, miss: _Miss) -> None:
        known = self.misses.get(key)
        if known is not None:
            known.twins.append(miss.number)
        elif self.options.run_mode == "force" or not self._hit(lookup, key, group.keying(miss.shape), miss):
            self.misses[key] = miss

    def _hit(self, lookup: Lookup, key: bytes, keying: Keying, miss: _Miss) -> bool:
        found = lookup.find(key, keying, miss.values)
        if found is None:
            return False
        try:
            self.values[miss.number] = lookup.load(found) if self.options.load else None
        except DamagedFile:
            found = lookup.find(key, keying, miss.values)  # the damaged file was set aside: is there another?
            if found is None:
                return False
            self.values[miss.number] = lookup.load(found)
        self.ids[miss.number] = found.id
        return True

    # ------------------------------------------------------------------------------------------------------ computing
    def compute(self) -> None:
        """Compute what is missing."""
        teams = {id(group): self._team(group) for group, _ in self.groups}
        work = [(teams[id(miss.group)], self._job(key, miss)) for key, miss in self.misses.items()]
        if not work:
            return
        if self.store is not None and any(team.cached for team, _ in work):
            self.store.check_writable()
        name = getattr(work[0][0].function, "__name__", "run")
        progress = Progress(name, len(self.points), len(self.points) - len(work), self.options.progress)
        schedule = Schedule(
            self.store,
            self._deliver,
            progress,
            self.options.n_threads,
            self.options.backend,
            keep=self.options.load,
            wait_s=self.options.wait_s,
        )
        self.progress = progress
        try:
            schedule.run(work)
        finally:
            progress.close()

    def _team(self, group: _Group) -> Team:
        team = Team(group.function)
        if group.lookup is not None:
            cached = group.lookup.cached
            team = Team(cached.function, cached, group.lookup.context, self._is_done)
            if cached.fingerprint.from_bytecode:
                self._warn(f"{cached.table} or a function it uses has no source: its bytecode stands for it")
        return team

    def _job(self, key: bytes, miss: _Miss) -> Job:
        """The call of one point; a function that sees the whole point sees its session id in it."""
        group, values = miss.group, miss.values
        job = Job(key, (), {})
        if group.lookup is not None:
            assert self.store is not None
            job.generation = self.store.next_generation(key, force=self.options.run_mode == "force")
            job.session = group.lookup.new_session(key, job.generation)
            job.dependencies = group.keying(miss.shape).described(values)
        if group.filler.sees_point:
            copy = self._copy(miss.number, group, job.session)
            _, values = group.filler.fill(copy)
        n_args, keywords = miss.shape
        job.args, job.kwargs = tuple(values[:n_args]), dict(zip(keywords, values[n_args:]))
        return job

    def _copy(self, number: int, group: _Group, session: str) -> dict[str, Any]:
        copy = self.copies[number] = dict(self.points[number])
        if group.cached is not None and session:
            text = SessionId(group.cached.id_text(session))
            copy["session_id"] = copy[f"{group.cached.table}_session_id"] = text
        return copy

    def _is_done(self, job: Job) -> bool:
        """Whether another process has stored the result of a job since it was looked for."""
        miss = self.misses[job.key]
        if self.options.run_mode == "force" or miss.group.lookup is None:
            return False
        return self._hit(miss.group.lookup, job.key, miss.group.keying(miss.shape), miss)

    def _deliver(self, team: Team, job: Job, outcome: Outcome | None) -> None:
        miss = self.misses[job.key]
        if outcome is None:
            self.progress.update(cached=1)
            return
        if outcome.failed is not None:
            self.n_failed += 1
            self.exception = self.exception or outcome.exception or _remade(outcome.failed)
            self.values[miss.number] = outcome.failed
            self.progress.update(failed=1)
            return
        self.ids[miss.number] = job.session
        self.fresh.add(miss.number)
        self.values[miss.number] = self._value_of(team, job, outcome)
        self.progress.update(done=1)

    def _value_of(self, team: Team, job: Job, outcome: Outcome) -> Any:
        lookup = self.misses[job.key].group.lookup
        if lookup is None or not self.options.load:
            return outcome.value
        if lookup.cached.keeps_own_files:
            return lookup.load(Found(job.session, None, None)) if outcome.stored else None
        if outcome.value is None and self.options.n_threads > 1 and self.options.backend == "processes":
            return self._reload(lookup, job)
        return outcome.value

    def _reload(self, lookup: Lookup, job: Job) -> Any:
        miss = self.misses[job.key]
        found = lookup.find(job.key, miss.group.keying(miss.shape), miss.values)
        return lookup.load(found) if found is not None else None

    # ------------------------------------------------------------------------------------------------------- answering
    def results(self) -> list[Any]:
        """What run() gives."""
        self.look()
        if self.misses and self.options.run_mode in ("load", "load_any"):
            if self.options.run_mode == "load":
                raise NotComputed(self._missing_text())
        else:
            self.compute()
        self._serve_twins()
        self._say_reused()
        if self.exception is not None and self.options.on_error == "raise":
            raise self._annotated(self.exception)
        if self.options.store_key is None:
            return [value for value in self.values if value is not MISS]
        return self._points_with_results()

    def states(self) -> list[PointState]:
        """What ensure() gives."""
        self.look()
        self.compute()
        self._serve_twins()
        self._say_reused()
        return [self._state(number) for number in range(len(self.points))]

    def _state(self, number: int) -> PointState:
        value = self.values[number]
        if isinstance(value, Failed):
            return PointState("failed", "", str(value))
        return PointState("done" if number in self.fresh else "cached", self.ids.get(number, ""))

    def explained(self) -> list[PointState]:
        """What explain() gives."""
        self.look()
        running = {}
        if self.store is not None:
            running = {key: claim for claim in self.store.live_claims() for key in claim.keys}
        states = [PointState("cached", self.ids.get(n, "")) for n in range(len(self.points))]
        for key, miss in self.misses.items():
            state = PointState("missing")
            if key in running:
                state = PointState("running", "", str(running[key].owner))
            elif miss.group.lookup is not None:
                if stale := miss.group.lookup.staleness(key):
                    state = PointState("stale", "", f"changed: {stale}")
                elif failure := miss.group.lookup.failure(key):
                    state = PointState("failed", "", failure)
            for number in (miss.number, *miss.twins):
                states[number] = state
        return states

    def _serve_twins(self) -> None:
        """Points with equal keys were computed once; each gets an object of its own."""
        for key, miss in self.misses.items():
            if not miss.twins:
                continue
            lookup, value = miss.group.lookup, self.values[miss.number]
            for number in miss.twins:
                self.ids.update({number: self.ids[miss.number]} if miss.number in self.ids else {})
                if value is MISS or isinstance(value, Failed) or not self.options.load or lookup is None:
                    self.values[number] = value
                else:
                    found = lookup.find(key, miss.group.keying(miss.shape), miss.values)
                    self.values[number] = lookup.load(found) if found is not None else value

    def _points_with_results(self) -> list[dict[str, Any]]:
        out = []
        group_of = {number: group for group, numbers in self.groups for number in numbers}
        for number, value in enumerate(self.values):
            if value is MISS:
                continue
            group = group_of[number]
            point = self.copies.get(number)
            if point is None:
                point = self._copy(number, group, self.ids.get(number, ""))
            if isinstance(value, Failed) and self.options.store_key == "*":
                point["failed"] = value
            else:
                _store_result(point, str(self.options.store_key), value, group.function)
            out.append(point)
        return out

    # -------------------------------------------------------------------------------------------------------- messages
    def _missing_text(self) -> str:
        n = sum(1 + len(miss.twins) for miss in self.misses.values())
        table = next(iter(self.misses.values())).group
        name = table.cached.table if table.cached else getattr(table.function, "__name__", "the function")
        shown = [self._describe(miss) for miss in list(self.misses.values())[:SHOWN]]
        more = "; ..." if len(self.misses) > SHOWN else ""
        return (
            f"{n} of {len(self.points)} points of {name} are not computed ({'; '.join(shown)}{more}); "
            f"{study.command() or 'call run() without run_mode'} computes them"
        )

    def _describe(self, miss: _Miss) -> str:
        """The dependencies of a point that tell it apart from the others."""
        if miss.group.lookup is None:
            return f"point {miss.number}"
        others = list(self.misses.values())[:100]
        all_of = [m.group.keying(m.shape).described(m.values) for m in others if m.group is miss.group]
        mine = miss.group.keying(miss.shape).described(miss.values)
        telling = {k: v for k, v in mine.items() if any(o.get(k) != v for o in all_of)} or mine
        return ", ".join(f"{k.rpartition(':')[2]}={v!r:.40}" for k, v in list(telling.items())[:6])

    def _annotated(self, error: BaseException) -> BaseException:
        note = f"{self.n_failed} of {len(self.points)} points failed, this is the first; the others were finished"
        if hasattr(error, "add_note") and self.n_failed and len(self.points) > 1:
            error.add_note(note)
        return error

    def _say_reused(self) -> None:
        for group, _ in self.groups:
            if group.lookup is not None and group.lookup.reused:
                reused = group.lookup.reused
                changes = sorted({name for names in reused for name in names}) or ["its code"]
                self._warn(
                    f"{group.lookup.cached.table}: {sum(reused.values())} points reuse results of earlier code "
                    f"(changed: {', '.join(changes)}); run_mode='force' computes them anew"
                )
                reused.clear()

    @staticmethod
    def _warn(text: str) -> None:
        warnings.warn(text, GridrunWarning, stacklevel=2)


def _store_result(point: dict[str, Any], store_key: str, value: Any, function: Any) -> None:
    if store_key != "*":
        point[store_key] = value
    elif isinstance(value, Mapping):
        point.update(value)
    elif value is not None:
        name = getattr(function, "__name__", "the function")
        raise UsageError(f"store_key='*' takes a function that returns a dict, but {name} gave {value!r:.60}")


def _remade(failed: Failed) -> GridrunError:
    """An exception for one that could not travel from its process."""
    return GridrunError(f"{failed.error}: {failed.message}\n{failed.traceback}")
