"""Running and caching over gridrun's engine, with the habits that old experiments rely on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from gridrun.cache import cachable as gridrun_cachable
from gridrun.errors import UsageError
from gridrun.grid import configure as configure
from gridrun.grid import make_unique as make_unique
from gridrun.grid import split as split
from gridrun.runner import run as gridrun_run
from gridrun.template import format_template as format_template

from .queries import get as get
from .queries import query as query
from .queries import reduce_keys as reduce_keys

Function = Callable[..., Any]


def cachable(
    dependencies: Sequence[str] | None = None,
    saver: Callable[..., None] | None = None,
    loader: Callable[..., Any] | None = None,
    checker: Callable[..., bool] | None = None,
    table_name: str | None = None,
    **options: Any,
) -> Callable[[Function], Function]:
    """As gridrun.cachable, with two habits of the old engine.

    Functions that keep their own files (trainings) outlive changes of the code, and a warning says so; pass
    code="recompute" for the other way. Functions, savers, loaders and checkers see session ids that int() reads:
    old scripts take them as `-session_id=`, of type int.
    """
    if saver is None and loader is not None and checker is not None:
        checker = _and_there(checker, loader)
    decorate = gridrun_cachable(
        dependencies,
        saver=saver,
        loader=loader,
        checker=checker,
        table_name=table_name,
        **{"code": "warn" if saver is None and loader is not None else "recompute", **options},
    )

    def with_decimal_ids(function: Function) -> Function:
        decorated = decorate(function)
        decorated.__gridrun__.id_text = decimal  # type: ignore[attr-defined]
        return decorated

    return with_decimal_ids


def _and_there(checker: Callable[..., bool], loader: Callable[..., Any]) -> Callable[..., bool]:
    """A checker that also looks for the files: the old engine asked only of sessions that it had started, so
    there are checkers that always say yes."""

    def check(session_id: str, table: str, cache_dir: str) -> bool:
        if not checker(session_id, table, cache_dir):
            return False
        try:
            loader(session_id, table, cache_dir)
        except FileNotFoundError:
            return False
        return True

    return check


def decimal(session_id: str) -> str:
    """A session id in digits that int() and str() carry back and forth.

    >>> decimal("ff"), str(int(decimal("00ff")))
    ('255', '255')
    """
    return str(int(session_id, 16))


def run(
    grid: Any,
    func: Function | str,
    n_threads: int = 1,
    run_mode: str = "normal",
    cache_mode: str = "normal",
    cache_dir: Any = None,
    store_key: str | None = None,
    **options: Any,
) -> Callable[..., list[Any]]:
    """gridrun.run in the old order of arguments; `options` are its others.

    A function that changes its point and returns it (the old engine let that stand as the result) stores what
    it put under `store_key`, never the point inside itself.
    """
    if cache_mode != "normal":
        raise UsageError(f"cache_mode={cache_mode!r} has no counterpart; call the function without @cachable instead")
    if callable(func) and store_key not in (None, "*") and not hasattr(func, "__gridrun__"):
        func = _storing(func, str(store_key))
    return gridrun_run(grid, func, n_threads, run_mode, cache_dir, store_key, **options)


def _storing(function: Function, store_key: str) -> Function:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        is_the_point = isinstance(result, dict) and any(result is given for given in (*args, *kwargs.values()))
        return result.get(store_key) if is_the_point else result

    return call


def dj(grid: Any, func: Function | str, n_threads: int = 1, run_mode: str = "normal", **options: Any) -> Any:
    """The first name of `run`: the list of results."""
    return run(grid, func, n_threads, run_mode, **options)


def djm(
    grid: Any,
    func: Function | str,
    n_threads: int = 1,
    run_mode: str = "normal",
    store_key: str | None = None,
    **options: Any,
) -> Any:
    """The first name of `run` with results in the points: under `store_key`, or merged into them."""
    return run(grid, func, n_threads, run_mode, store_key="*" if store_key is None else store_key, **options)
