"""run(grid, func, ...)("{template}"): a function over a grid, each point computed once.

The machinery (sweep.py) is imported at the first call, so that `import gridrun` stays light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from .errors import UsageError
from .grid import AnyGrid, points
from .outcome import PointState

RUN_MODES = ("normal", "force", "load", "load_any")
ON_ERROR = ("raise", "store")
WHERE = ("n_threads", "backend", "mode")
_DEFAULTS: ContextVar[Mapping[str, Any]] = ContextVar("defaults of run()", default={})  # noqa: B039 - never changed


class Options(NamedTuple):
    """How to run; see run(). None is what defaults() says, else 1, "threads", here."""

    n_threads: int | None = None
    run_mode: str = "normal"
    cache_dir: Any = None
    store_key: str | None = None
    mode: Any = None
    on_error: str = "raise"
    progress: bool | None | Callable[[int, int], None] = None
    backend: str | None = None
    wait_s: float | None = None
    load: bool = True

    def checked(self) -> Options:
        """These options. Raises UsageError for a value that is none of the known ones."""
        if self.run_mode not in RUN_MODES:
            raise UsageError(f"run(run_mode={self.run_mode!r}); it is one of {', '.join(RUN_MODES)}")
        if self.on_error not in ON_ERROR:
            raise UsageError(f"run(on_error={self.on_error!r}); it is one of {', '.join(ON_ERROR)}")
        return self

    def where(self, is_cachable: bool) -> tuple[int, str, Any]:
        """n_threads, backend and mode: as the call says, else defaults() for a cachable function, else plain ones."""
        said = _DEFAULTS.get() if is_cachable and self.n_threads is None else {}
        n_threads = said.get("n_threads", 1) if self.n_threads is None else self.n_threads
        backend = said.get("backend", "threads") if self.backend is None else self.backend
        return n_threads, backend, said.get("mode") if self.mode is None else self.mode


@contextmanager
def defaults(**options: Any) -> Iterator[None]:
    """Within the block, calls of run() with cachable functions that say no `n_threads` take these options: n_threads,
    backend, mode. So a command line says how a page evaluates.

    >>> with defaults(n_threads=4):
    ...     Options().where(is_cachable=True), Options(n_threads=2).where(is_cachable=True)
    ((4, 'threads', None), (2, 'threads', None))
    """
    if unknown := sorted(set(options) - set(WHERE)):
        raise UsageError(f"defaults({unknown[0]}=...); it takes {', '.join(WHERE)}")
    before = _DEFAULTS.set(options)
    try:
        yield
    finally:
        _DEFAULTS.reset(before)


def run(
    grid: AnyGrid,
    func: Callable[..., Any] | str,
    n_threads: int | None = None,
    run_mode: str = "normal",
    cache_dir: Any = None,
    store_key: str | None = None,
    mode: str | None = None,
    on_error: str = "raise",
    progress: bool | None | Callable[[int, int], None] = None,
    backend: str | None = None,
    wait_s: float | None = None,
) -> Callable[..., list[Any]]:
    """Call a function for every point: run(grid, f)("{seed}", level="{level}").

    func: a callable, or the key of one in each point (which may be a template). Only str arguments are templates;
        without any argument the function's parameters are filled from the point by name.
    n_threads, backend: points side by side (by default 1, or what defaults() says), in "threads" or "processes".
    run_mode: "normal"; "force" (compute anew; the old result stays as history); "load" (never compute: NotComputed if
        something is missing); "load_any" (never compute: points that are missing are left out).
    cache_dir: the store; by default $GRIDRUN_SESSIONS, or sessions/ under the study's root.
    store_key: None gives the list of results; a name gives copies of the points with the result under it; "*" gives
        copies updated with the dict that the function returned. The points of a cachable function also get
        `session_id` and `<table_name>_session_id`.
    on_error: "raise" the first error after all other points are finished, or "store" a Failed in its place.
    progress: True or False; by default shown for runs of over a second, and not in tests. A function is told how many
        points are finished, of how many.
    mode: where: None or "local" is here; the name of another profile of launch/ sends the missing points to its
        scheduler, as tasks of `n_threads` points side by side, and waits for them.
    wait_s: how long to wait for points that another process computes; by default as long as it lives.

    >>> run([{"a": 1, "b": 2}, {"a": 3, "b": 4}], lambda x, y: x + y)("{a}", "{b}")
    [3, 7]
    >>> run({"a": 5}, abs, store_key="size")("{a}")
    [{'a': 5, 'size': 5}]
    """
    options = Options(n_threads, run_mode, cache_dir, store_key, mode, on_error, progress, backend, wait_s)
    options.checked()
    listed = points(grid)

    def call(*args: Any, **kwargs: Any) -> list[Any]:
        from .sweep import answer

        return answer(listed, func, options, args, kwargs)

    return call


def ensure(grid: AnyGrid, func: Callable[..., Any] | str, **options: Any) -> Callable[..., list[PointState]]:
    """As run(), for its effect: computes what is missing, loads nothing, tells the state of every point.

    Takes the options of run(); `on_error` is "store", so a failed point shows in its state.
    """
    chosen = Options(**{"on_error": "store", **options})._replace(load=False).checked()

    def call(*args: Any, **kwargs: Any) -> list[PointState]:
        from .sweep import Sweep

        return Sweep(grid, func, chosen, args, kwargs).states()

    return call


def explain(grid: AnyGrid, func: Callable[..., Any] | str, cache_dir: Any = None) -> Callable[..., list[PointState]]:
    """A dry run: for each point cached, running (elsewhere), failed (before), stale (which code changed) or missing."""
    options = Options(cache_dir=cache_dir, load=False)

    def call(*args: Any, **kwargs: Any) -> list[PointState]:
        from .sweep import Sweep

        return Sweep(grid, func, options, args, kwargs).explained()

    return call
