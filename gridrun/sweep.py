"""One call of run(), from the grid to its results.

A point's templates are filled (arguments.py), the arguments become a key (keying.py), the store is asked (plan.py,
lookup.py); a miss is claimed, computed and stored (schedule.py, work.py), and its result handed out in the grid's
order. explain() goes the same way and stops before computing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import messages
from .errors import CodeChanged, DamagedFile, GridrunError, NotComputed, UsageError
from .grid import AnyGrid, points
from .hashing import SessionId
from .lookup import MISS, Lookup
from .outcome import Failed, PointState
from .plan import Miss, Plan, cached_of, plan_for
from .store import Store
from .template import format_template, get

if TYPE_CHECKING:
    from .dispatch.profile import Profile
    from .runner import Options
    from .schedule import Team
    from .work import Job, Outcome

REFRESH_S = 1.0  # how old the view of a store may be when points are looked up
LAUNCH = "launch_settings"  # of a point: what its task asks of a scheduler
NOT_THERE = Failed("NotComputed", "its job left no result", "")
ATTEMPTS = 3  # at a result whose file is damaged


def answer(grid: AnyGrid, func: Any, options: Options, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The results of a call of run(): at once if the store has them all, else by a sweep."""
    if options.run_mode != "force" and options.store_key is None and cached_of(func) is not None:
        plan = plan_for(func, args, kwargs, options.cache_dir)
        if plan.quick_key is not None and plan.lookup is not None:
            plan.lookup.store.refresh(max_age_s=REFRESH_S)
            values = plan.quick_values(plan.quick_keys(points(grid)))
            if MISS not in values:
                return values
    return Sweep(grid, func, options, args, kwargs).results()


class Sweep:
    """One call of run(), from the grid to its results."""

    def __init__(
        self, grid: AnyGrid, func: Any, options: Options, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        self.points = points(grid)
        self.options = options
        self.args, self.kwargs = args, kwargs
        self.store: Store | None = None
        self.values: list[Any] = [MISS] * len(self.points)
        self.ids: dict[int, str] = {}
        self.notes: dict[int, str] = {}
        self.misses: dict[bytes, Miss] = {}
        self.fresh: set[int] = set()
        self.exception: BaseException | None = None
        self.n_failed = 0
        self.only_telling = False
        is_cachable = isinstance(func, str) or cached_of(func) is not None
        self.n_workers, self.backend, mode = options.where(is_cachable)
        self.profile = _cluster(mode)
        self.plans = self._plan(func)

    # ------------------------------------------------------------------------------------------------------ preparing
    def _plan(self, func: Any) -> list[tuple[Plan, Sequence[int]]]:
        """The plans of this run (usually one), each with the numbers of its points."""
        if callable(func):
            return [(self._new_plan(func), range(len(self.points)))]
        if not isinstance(func, str):
            raise UsageError(f"run(grid, {func!r:.60}); it takes a function, or the key of one")
        members: dict[int, tuple[Plan, list[int]]] = {}
        for number, point in enumerate(self.points):
            function = get(point, str(format_template(point, func)))
            if not callable(function):
                raise UsageError(f"the key {func!r} of this point is no function but {function!r:.60}")
            if id(function) not in members:
                members[id(function)] = (self._new_plan(function), [])
            members[id(function)][1].append(number)
        return list(members.values())

    def _new_plan(self, function: Callable[..., Any]) -> Plan:
        plan = plan_for(function, self.args, self.kwargs, self.options.cache_dir)
        if plan.lookup is not None:
            self.store = plan.lookup.store
            self.store.refresh(max_age_s=REFRESH_S)
        return plan

    def look(self) -> None:
        """Fill in what the store has, and note what it has not."""
        quick = self.options.load and self.options.store_key is None and self.options.run_mode != "force"
        for plan, numbers in self.plans:
            keys: Sequence[bytes | None] = ()
            if isinstance(numbers, range):
                keys = plan.quick_keys(self.points)
                if quick:
                    self.values = plan.quick_values(keys)
            for number in numbers:
                if self.values[number] is MISS:
                    self._look_closely(plan, number, keys[number] if keys else None)

    def look_again(self) -> None:
        """Before a point is called missing: has another process stored it a moment ago?"""
        if self.misses and self.store is not None:
            self.store.refresh()
            for mark, miss in list(self.misses.items()):
                if miss.plan.lookup is not None and self._hit(miss.plan.lookup, miss):
                    self._serve(miss)
                    del self.misses[mark]

    def _look_closely(self, plan: Plan, number: int, key: bytes | None) -> None:
        shape, values = plan.filler.fill(self._seen(number))
        miss = Miss(plan, number, shape, values)
        if plan.lookup is None:
            self.misses[number.to_bytes(8, "big")] = miss
            return
        miss.key = key or plan.keying(shape).key(values)
        mark = plan.lookup.mark(miss.key)
        known = self.misses.get(mark)
        if known is not None:
            known.twins.append(number)
        elif self.options.run_mode == "force" or not self._hit(plan.lookup, miss):
            self.misses[mark] = miss

    def _seen(self, number: int) -> Mapping[str, Any]:
        """A point as functions see it: what it asks of a scheduler is no input of theirs, and so in no key."""
        point = self.points[number]
        return {k: v for k, v in point.items() if k != LAUNCH} if LAUNCH in point else point

    def _hit(self, lookup: Lookup, miss: Miss) -> bool:
        """Take a point's result from the store, if it has a whole one."""
        for _ in range(ATTEMPTS):
            try:
                found = lookup.find(miss.key, miss.plan.keying(miss.shape), miss.values)
            except CodeChanged:
                if self.only_telling:
                    return False
                raise
            if found is None:
                return False
            try:
                self.values[miss.number] = lookup.load(found) if self.options.load else None
            except DamagedFile:
                lookup.store.forget()  # the file was set aside, or moved by gc: is there another?
                continue
            self.ids[miss.number] = found.id
            if found.changes:
                self.notes[miss.number] = f"reused, though changed since: {', '.join(found.changes)}"
            return True
        return False

    # ------------------------------------------------------------------------------------------------------ computing
    def compute(self) -> None:
        """Compute what is missing."""
        if not self.misses:
            return
        from .progress import Progress
        from .schedule import Schedule

        for plan, _ in self.plans:
            if plan.lookup is not None:
                plan.lookup.store.check_writable()
                if self.options.run_mode == "force":
                    plan.lookup.store.refresh()  # so that a new generation is newer than every other
                plan.lookup.store.claim_table(plan.lookup.cached.table, plan.lookup.cached.identity)
        if self.profile is not None:
            self._compute_elsewhere(self.profile)
            return
        teams = {id(plan): self._team(plan) for plan, _ in self.plans}
        work = [(teams[id(plan)], job) for plan, job, _ in self.work()]
        name = getattr(work[0][0].function, "__name__", "run")
        progress = Progress(name, len(self.points), len(self.points) - len(work), self.options.progress)
        schedule = Schedule(
            self.store,
            self._deliver,
            progress,
            self.n_workers,
            self.backend,
            keep=self.options.load,
            wait_s=self.options.wait_s,
        )
        self.progress = progress
        try:
            schedule.run(work)
        finally:
            progress.close()

    def work(self) -> list[tuple[Plan, Job, int]]:
        """The calls of the points that are missing, each with its plan and the number of its (first) point."""
        return [(miss.plan, self._job(mark, miss), miss.number) for mark, miss in self.misses.items()]

    def _compute_elsewhere(self, profile: Profile) -> None:
        """Let a scheduler's jobs compute what is missing."""
        from .dispatch.elsewhere import compute

        for mark, failed in compute(self, profile).items():
            miss = self.misses[mark]
            if failed is None and miss.plan.lookup is not None and self._hit(miss.plan.lookup, miss):
                self.fresh.update((miss.number, *miss.twins))
                continue
            self.n_failed += 1
            self.values[miss.number] = failed or NOT_THERE
            self.exception = self.exception or _remade(failed or NOT_THERE)

    def _team(self, plan: Plan) -> Team:
        from .schedule import Team

        team = Team(plan.function)
        if plan.lookup is not None:
            cached = plan.lookup.cached
            team = Team(cached.function, cached, plan.lookup.context, self._is_done)
            if cached.fingerprint.from_bytecode:
                messages.warn(f"{cached.table} or a function it uses has no source: its bytecode stands for it")
        return team

    def _job(self, mark: bytes, miss: Miss) -> Job:
        """The call of one point; a function that sees the whole point sees its session id in it."""
        plan, values = miss.plan, miss.values
        from .work import Job

        generation, session, dependencies = 0, "", None
        if plan.lookup is not None:
            generation = plan.lookup.next_generation(miss.key, force=self.options.run_mode == "force")
            session = plan.lookup.new_session(miss.key, generation)
            dependencies = plan.keying(miss.shape).described(values)
        if plan.filler.sees_point:
            _, values = plan.filler.fill({**self._seen(miss.number), **self._ids(plan, session)})
        n_args, keywords = miss.shape
        kwargs = dict(zip(keywords, values[n_args:]))
        return Job(miss.key, mark, tuple(values[:n_args]), kwargs, generation, session, dependencies)

    @staticmethod
    def _ids(plan: Plan, session: str) -> dict[str, SessionId]:
        """What a point is told of its result's id."""
        if plan.cached is None or not session:
            return {}
        text = SessionId(plan.cached.id_text(session))
        return {"session_id": text, f"{plan.cached.table}_session_id": text}

    def _is_done(self, job: Job) -> bool:
        """Whether another process has stored the result of a job since it was looked for."""
        miss = self.misses[job.mark]
        if self.options.run_mode == "force" or miss.plan.lookup is None:
            return False
        return self._hit(miss.plan.lookup, miss)

    def _deliver(self, team: Team, job: Job, outcome: Outcome | None) -> None:
        miss = self.misses[job.mark]
        if outcome is None:
            self.progress.update(cached=1)
            return
        self.ids[miss.number] = job.session
        if outcome.failed is not None:
            self.n_failed += 1
            self.exception = self.exception or outcome.exception or _remade(outcome.failed)
            self.values[miss.number] = outcome.failed
            self.progress.update(failed=1)
            return
        self.fresh.add(miss.number)
        self.values[miss.number] = self._value_of(team, job, outcome)
        self.progress.update(done=1)

    def _value_of(self, team: Team, job: Job, outcome: Outcome) -> Any:
        lookup = self.misses[job.mark].plan.lookup
        if lookup is None or not self.options.load:
            return outcome.value
        if lookup.cached.keeps_own_files:
            return lookup.load_custom(job.session) if outcome.stored else None
        if outcome.value is None and self.n_workers > 1 and self.backend == "processes":
            return self._reload(lookup, job)
        return outcome.value

    def _reload(self, lookup: Lookup, job: Job) -> Any:
        miss = self.misses[job.mark]
        found = lookup.find(job.key, miss.plan.keying(miss.shape), miss.values)
        return lookup.load(found) if found is not None else None

    # ------------------------------------------------------------------------------------------------------- answering
    def results(self) -> list[Any]:
        """What run() gives."""
        self.look()
        if self.options.run_mode in ("load", "load_any"):
            self.look_again()
            if self.misses and self.options.run_mode == "load":
                raise NotComputed(messages.not_computed(list(self.misses.values()), len(self.points)))
        else:
            self.compute()
        self._serve_twins()
        messages.say_what_was_reused([plan for plan, _ in self.plans])
        if self.exception is not None and self.options.on_error == "raise":
            raise messages.annotated(self.exception, self.n_failed, len(self.points))
        if self.options.store_key is None:
            return [value for value in self.values if value is not MISS]
        return self._points_with_results()

    def states(self) -> list[PointState]:
        """What ensure() gives."""
        self.look()
        self.compute()
        self._serve_twins()
        messages.say_what_was_reused([plan for plan, _ in self.plans])
        return [self._state(number) for number in range(len(self.points))]

    def _state(self, number: int) -> PointState:
        value = self.values[number]
        if isinstance(value, Failed):
            return PointState("failed", self.ids.get(number, ""), str(value))
        return PointState("done" if number in self.fresh else "cached", self.ids.get(number, ""))

    def explained(self) -> list[PointState]:
        """What explain() gives."""
        self.only_telling = True
        self.look()
        self.look_again()
        running, waiting = {}, {}
        if self.store is not None:
            running = {key: claim for claim in self.store.live_claims() for key in claim.keys}
            waiting = self._queued()
        states = [PointState("cached", self.ids.get(n, ""), self.notes.get(n, "")) for n in range(len(self.points))]
        for mark, miss in self.misses.items():
            state = PointState("missing")
            if mark in running:
                state = PointState("running", "", str(running[mark].owner))
            elif mark in waiting:
                state = PointState("pending", self._id_to_be(miss), f"sent as {waiting[mark]}")
            elif miss.plan.lookup is not None:
                if stale := miss.plan.lookup.staleness(miss.key):
                    state = PointState("stale", "", f"changed: {stale}")
                elif (failure := miss.plan.lookup.failure(miss.key))[0]:
                    state = PointState("failed", *failure)
            for number in (miss.number, *miss.twins):
                states[number] = state
        return states

    @staticmethod
    def _id_to_be(miss: Miss) -> str:
        lookup = miss.plan.lookup
        return lookup.new_session(miss.key, lookup.next_generation(miss.key)) if lookup is not None else ""

    def _queued(self) -> dict[bytes, str]:
        """The points that wait in a scheduler's queue, each with its submission."""
        if self.store is None or not (self.store.path / "jobs").is_dir():
            return {}
        from .dispatch.queue import queued

        return queued(self.store)

    def _serve_twins(self) -> None:
        """Points with equal keys were computed once; each gets an object of its own."""
        for miss in self.misses.values():
            self._serve(miss)

    def _serve(self, miss: Miss) -> None:
        lookup, value = miss.plan.lookup, self.values[miss.number]
        for number in miss.twins:
            self.ids.update({number: self.ids[miss.number]} if miss.number in self.ids else {})
            if value is MISS or isinstance(value, Failed) or not self.options.load or lookup is None:
                self.values[number] = value
            else:
                found = lookup.find(miss.key, miss.plan.keying(miss.shape), miss.values)
                self.values[number] = lookup.load(found) if found is not None else value

    def _points_with_results(self) -> list[dict[str, Any]]:
        out = []
        plan_of = {number: plan for plan, numbers in self.plans for number in numbers}
        for number, value in enumerate(self.values):
            if value is MISS:
                continue
            plan = plan_of[number]
            ids = self._ids(plan, self.ids.get(number, ""))
            point = {**self.points[number], **ids}
            if isinstance(value, Failed) and self.options.store_key == "*":
                point["failed"] = value
            else:
                _store_result(point, str(self.options.store_key), value, plan.function)
            out.append({**point, **ids})  # a result that carries ids along does not replace its own
        return out


def _cluster(mode: Any) -> Profile | None:
    """The profile of a mode that computes elsewhere; None for this machine."""
    if mode in (None, "local"):
        return None
    from .dispatch.elsewhere import cluster_profile

    return cluster_profile(mode)


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
