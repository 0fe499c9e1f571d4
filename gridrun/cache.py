"""@cachable: which inputs a result depends on, and so its key.

    @cachable(dependencies=["model:seed", "level"])
    def accuracy(model, level): ...

Only run() caches; a decorated function called directly always runs.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from .errors import UsageError, nearest

if TYPE_CHECKING:
    from .fingerprint import Fingerprint

F = TypeVar("F", bound=Callable[..., Any])
Saver = Callable[[str, str, str, Any], None]
Loader = Callable[[str, str, str], Any]
Checker = Callable[[str, str, str], bool]
CODE_MODES = ("recompute", "warn", "error", "ignore")
NOTHING = object()


def cachable(
    dependencies: Sequence[str] | None = None,
    version: Any = None,
    saver: Saver | None = None,
    loader: Loader | None = None,
    checker: Checker | None = None,
    table_name: str | None = None,
    code: str = "recompute",
) -> Callable[[F], F]:
    """Let run() keep the results of a function and never compute the same one twice.

    dependencies: names of parameters, or `parameter:key` for a key of a mapping, an attribute or an index; the key may
        be a template that the argument fills (`model:{architecture}_session_id`). Default: all parameters.
    version: part of the key; change it to compute everything anew.
    saver(session_id, table, cache_dir, value), loader(session_id, table, cache_dir), checker(session_id, table,
        cache_dir) -> bool: for a format of one's own. With a loader or checker alone, the function keeps its own files.
    table_name: what its results are called in the store, the function's name by default.
    code: what happens when the function, or project code that it reaches, was changed since a result was stored:
        "recompute", "warn" (reuse, and say so), "error", or "ignore".

    Raises UsageError for a dependency that is no parameter.
    """
    if code not in CODE_MODES:
        raise UsageError(f"cachable(code={code!r}); it takes one of {', '.join(CODE_MODES)}")
    if isinstance(dependencies, str) or not all(isinstance(d, str) for d in dependencies or ()):
        raise UsageError(f"cachable(dependencies={dependencies!r}); it takes a list of names")

    def decorate(function: F) -> F:
        own = _own_copy(function)
        own.__gridrun__ = Cached(
            own,
            dependencies,
            version,
            saver,
            loader if loader is not None else getattr(saver, "loader", None),
            checker,
            table_name or own.__name__,
            code,
        )
        return cast(F, own)

    return decorate


def _own_copy(function: Callable[..., Any]) -> Any:
    """The function itself; a copy if it is decorated already, a wrapper if it is a built-in.

    Raises UsageError for a callable object or a bound method: what it carries would be no part of any key.
    """
    if not isinstance(function, types.FunctionType):
        if not isinstance(function, types.BuiltinFunctionType):
            raise UsageError(f"cachable() takes a function, not {function!r:.80}; put the call into a def")

        @functools.wraps(function)
        def own(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return own
    if not hasattr(function, "__gridrun__"):
        return function
    copy: Any = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    functools.update_wrapper(copy, function)
    copy.__kwdefaults__ = function.__kwdefaults__
    del copy.__wrapped__
    return copy


class Parameters(NamedTuple):
    """The parameters of a function: names by kind, and defaults."""

    positional: tuple[str, ...]
    keyword: tuple[str, ...]
    rest: str
    extra: str
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, function: types.FunctionType) -> Parameters:
        wrapped = getattr(function, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            return cls.of(wrapped)
        if wrapped is not None:
            return cls((), (), "args", "kwargs", {})
        code = function.__code__
        n, m = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        rest = names[n + m] if code.co_flags & 0x04 else ""
        extra = names[n + m + bool(rest)] if code.co_flags & 0x08 else ""
        values = function.__defaults__ or ()
        defaults = {**dict(zip(names[n - len(values) : n], values)), **(function.__kwdefaults__ or {})}
        return cls(names[:n], names[n : n + m], rest, extra, defaults)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.positional, *self.keyword, *(name for name in (self.rest, self.extra) if name))

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], whose: str) -> dict[str, Any]:
        """Parameter -> argument, without defaults. Raises TypeError as a call would."""
        bound = dict(zip(self.positional, args))
        surplus = tuple(args[len(self.positional) :])
        if surplus and not self.rest:
            raise TypeError(f"{whose}() takes {len(self.positional)} positional arguments, not {len(args)}")
        if surplus:
            bound[self.rest] = surplus
        others: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in bound:
                raise TypeError(f"{whose}() got several values for {name!r}")
            if name in self.positional or name in self.keyword:
                bound[name] = value
            elif self.extra:
                others[name] = value
            else:
                raise TypeError(f"{whose}() has no parameter {name!r}; {nearest(name, self.names)}")
        if others:
            bound[self.extra] = others
        missing = [n for n in (*self.positional, *self.keyword) if n not in bound and n not in self.defaults]
        if missing:
            raise TypeError(f"{whose}() misses an argument for {', '.join(missing)}")
        return bound


class Cached:
    """What cachable() knows of a function."""

    def __init__(
        self,
        function: types.FunctionType,
        dependencies: Sequence[str] | None,
        version: Any,
        saver: Saver | None,
        loader: Loader | None,
        checker: Checker | None,
        table: str,
        code: str,
    ) -> None:
        self.function, self.table, self.version, self.code = function, table, version, code
        self.saver, self.loader, self.checker = saver, loader, checker
        self.parameters = Parameters.of(function)
        self.dependencies = None if dependencies is None else tuple(dependencies)
        self.id_text: Callable[[str], str] = str  # how an id is written where the function sees it
        self._check()

    def _check(self) -> None:
        for dependency in self.dependencies or ():
            name = dependency.partition(":")[0]
            if name not in self.parameters.names:
                raise UsageError(
                    f"{self.table} depends on {dependency!r}, but has no parameter {name!r}; "
                    f"{nearest(name, self.parameters.names)}"
                )
        if self.saver is not None and self.loader is None:
            raise UsageError(f"{self.table} has a saver and no loader; give cachable(loader=...) that reads it back")

    @functools.cached_property
    def identity(self) -> str:
        """Module and qualified name."""
        from .identity import identity

        return identity(self.function)

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process needs: no fingerprint (it holds on to whole modules), that is taken before."""
        return {name: value for name, value in self.__dict__.items() if name != "fingerprint"}

    def renew(self) -> None:
        """Forget the fingerprint if a name that the function reaches means something else now (in a notebook)."""
        known: Fingerprint | None = self.__dict__.get("fingerprint")
        if known is not None and known.watched and not known.holds():
            del self.__dict__["fingerprint"]

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The code that results depend on."""
        from .fingerprint import NO_FINGERPRINT, fingerprint

        return NO_FINGERPRINT if self.code == "ignore" else fingerprint(self.function)

    @property
    def keeps_own_files(self) -> bool:
        """Whether the function itself writes its results, for its loader and checker to find."""
        return self.saver is None and (self.loader is not None or self.checker is not None)

    @property
    def is_custom(self) -> bool:
        """Whether results are kept in a format of the function's own."""
        return self.saver is not None or self.keeps_own_files

    @functools.cached_property
    def default_digests(self) -> dict[str, str]:
        """Short digests of the defaults: a key leaves out what equals its default, so a changed one must show."""
        from . import hashing

        return {name: hashing.content(value).hex()[:8] for name, value in sorted(self.parameters.defaults.items())}

    @functools.cached_property
    def prefix(self) -> bytes:
        """What every key of this function begins with."""
        from . import hashing

        who = [self.identity, self.table] + ([self.version] if self.version is not None else [])
        return hashing.FORMAT + hashing.encode(who, f"the version of {self.table}")
