"""@cachable: which inputs a result depends on, and so its key.

    @cachable(dependencies=["model:seed", "level"])
    def accuracy(model, level): ...

Only run() caches; a decorated function called directly always runs.
"""

from __future__ import annotations

import contextvars
import functools
import json
import os
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from . import hashing
from .errors import MissingKey, StoreError, UsageError, nearest
from .fingerprint import NO_FINGERPRINT, Fingerprint, fingerprint, identity
from .template import format_template, get, has_template

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
    if dependencies is not None and (isinstance(dependencies, str) or not all(isinstance(d, str) for d in dependencies)):
        raise UsageError(f"cachable(dependencies={dependencies!r}); it takes a list of names")

    def decorate(function: F) -> F:
        own = _own_copy(function)
        own.__gridrun__ = Cached(  # type: ignore[attr-defined]
            function=own,
            parameters=Parameters.of(own),
            dependencies=None if dependencies is None else tuple(dependencies),
            version=version,
            saver=saver,
            loader=loader if loader is not None else getattr(saver, "loader", None),
            checker=checker,
            table=table_name or own.__name__,
            code=code,
        )
        return own  # type: ignore[return-value]

    return decorate


def _own_copy(function: Callable[..., Any]) -> Any:
    """The function itself; a copy if it is decorated already, a wrapper if it is no Python function."""
    if not isinstance(function, types.FunctionType):

        @functools.wraps(function)
        def own(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return own
    if not hasattr(function, "__gridrun__"):
        return function
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    functools.update_wrapper(copy, function)
    copy.__kwdefaults__ = function.__kwdefaults__
    del copy.__wrapped__
    return copy


@dataclass(frozen=True)
class Parameters:
    """The parameters of a function: names by kind, and defaults."""

    positional: tuple[str, ...]
    keyword: tuple[str, ...]
    rest: str
    extra: str
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, function: types.FunctionType) -> Parameters:
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None and not isinstance(wrapped, types.FunctionType):
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


@dataclass(frozen=True)
class Cached:
    """What cachable() knows of a function."""

    function: types.FunctionType
    parameters: Parameters
    dependencies: tuple[str, ...] | None
    version: Any
    saver: Saver | None
    loader: Loader | None
    checker: Checker | None
    table: str
    code: str
    id_text: Callable[[str], str] = str  # how an id is written where the function sees it

    def __post_init__(self) -> None:
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
        return identity(self.function)

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        return NO_FINGERPRINT if self.code == "ignore" else fingerprint(self.function)

    @property
    def keeps_own_files(self) -> bool:
        return self.saver is None and (self.loader is not None or self.checker is not None)

    @property
    def is_custom(self) -> bool:
        return self.saver is not None or self.keeps_own_files

    @functools.cached_property
    def default_digests(self) -> dict[str, str]:
        """Short digests of the defaults: a key leaves out what equals its default, so a changed one must show."""
        return {name: hashing.content(value).hex()[:8] for name, value in sorted(self.parameters.defaults.items())}

    @functools.cached_property
    def prefix(self) -> bytes:
        """What every key of this function begins with."""
        who = [self.identity, self.table] + ([self.version] if self.version is not None else [])
        return hashing.FORMAT + hashing.encode(who, f"the version of {self.table}")


class Keying:
    """How the arguments of one call shape (so many positional, these keywords) become keys."""

    def __init__(self, cached: Cached, n_args: int, keywords: tuple[str, ...]) -> None:
        self.cached = cached
        slots = cached.parameters.bind(range(n_args), dict(zip(keywords, range(n_args, n_args + len(keywords)))), cached.table)
        self.slots = slots  # parameter -> position in (args..., kwargs...), or a tuple or dict of positions
        defaults = cached.parameters.defaults
        named = cached.dependencies
        if named is None:
            named = tuple(name for name in cached.parameters.names if name in slots or name in defaults)
        self.labels = sorted(dict.fromkeys(named))
        self.whole = [name for name in self.labels if ":" not in name]
        self.parts = [(label, *label.split(":", 1)) for label in self.labels if ":" in label]
        self.recipes = [self._recipe(name) for name in self.whole]
        flat = all(isinstance(slots.get(name), int) for name in self.whole)
        self.plain = flat and not self.parts and not any(default for *_, default in self.recipes)

    def _recipe(self, name: str) -> tuple[bytes, str, bytes]:
        default = self.cached.parameters.defaults.get(name, NOTHING)
        encoded = b"" if default is NOTHING else _try_encode(default)
        return hashing.encode_value(name), name, encoded

    def argument(self, name: str, values: Sequence[Any]) -> Any:
        """The argument of a parameter, its default if none was given."""
        slot = self.slots.get(name, NOTHING)
        if slot is NOTHING:
            return self.cached.parameters.defaults[name]
        if isinstance(slot, tuple):
            return [values[i] for i in slot]
        if isinstance(slot, dict):
            return {key: values[i] for key, i in slot.items()}
        return values[slot]

    def key(self, values: Sequence[Any]) -> bytes:
        """The 16 bytes that stand for a call with `values`. Raises UnhashableInput, MissingKey."""
        pieces = [self.cached.prefix]
        encoders = hashing.ENCODERS
        for label, name, default in self.recipes:
            if name not in self.slots and default:
                continue
            value = self.argument(name, values)
            encoder = encoders.get(type(value))
            try:
                encoded = encoder(value) if encoder else hashing.encode(value, name)
            except (hashing.Unencodable, RecursionError):
                encoded = hashing.encode(value, name)  # says where
            if encoded != default:
                pieces.append(label)
                pieces.append(encoded)
        for label, name, key in self.parts:
            argument = self.argument(name, values)
            value = argument.get(key, NOTHING) if type(argument) is dict else NOTHING
            if value is NOTHING or type(value) is str and has_template(value):
                key, value = self._part(label, argument, key)
                label = f"{name}:{key}"
            encoder = encoders.get(type(value))
            try:
                encoded = encoder(value) if encoder else hashing.encode(value, label)
            except (hashing.Unencodable, RecursionError):
                encoded = hashing.encode(value, label)
            pieces.append(b"k%d:%b" % (len(label), label.encode()))
            pieces.append(encoded)
        return hashing.digest(b"".join(pieces))

    def _part(self, label: str, argument: Any, key: str) -> tuple[str, Any]:
        """The (filled) key of a dependency `name:key`, and its value in the argument."""
        if isinstance(argument, Mapping):
            filled = str(format_template(argument, key)) if has_template(key) else key
            if filled in argument:
                return filled, get(argument, filled)
            raise MissingKey(
                f"{self.cached.table} depends on {label!r}, but its argument has no key {filled!r}; "
                f"{nearest(filled, argument)}"
            )
        if key.lstrip("-").isdigit() and hasattr(argument, "__getitem__"):
            try:
                return key, argument[int(key)]
            except LookupError:
                raise MissingKey(f"{self.cached.table} depends on {label!r}, but there is no item {key}") from None
        try:
            return key, getattr(argument, key)
        except AttributeError:
            kind = type(argument).__name__
            raise MissingKey(
                f"{self.cached.table} depends on {label!r}, but its argument, a {kind}, has no {key!r}"
            ) from None

    def omitted(self, values: Sequence[Any]) -> set[str]:
        """Parameters that a key leaves out because they have their default."""
        out = {name for name in self.cached.parameters.defaults if name not in self.slots}
        for _, name, default in self.recipes:
            if default and name in self.slots and _try_encode(self.argument(name, values)) == default:
                out.add(name)
        return out

    def described(self, values: Sequence[Any]) -> dict[str, Any]:
        """The dependencies as plain values, for the record."""
        out = {name: describe(self.argument(name, values)) for name in self.whole}
        for label, name, key in self.parts:
            filled, value = self._part(label, self.argument(name, values), key)
            out[f"{name}:{filled}"] = describe(value)
        return out


def _try_encode(value: Any) -> bytes:
    try:
        return hashing.encode_value(value)
    except (hashing.Unencodable, RecursionError):
        return b""


def describe(value: Any) -> Any:
    """A JSON-like text of a value for people: small plain values as they are, others by kind and digest."""
    kind = type(value)
    if kind in (int, float, bool, type(None)):
        return value
    if isinstance(value, str):
        return str(value) if len(value) <= 200 else f"{value[:200]}..."
    if kind in (list, tuple) and len(value) <= 20:
        return [describe(v) for v in value]
    if kind is dict and len(value) <= 60:
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, types.FunctionType):
        return identity(value)
    if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return describe(value.item())
    shape = getattr(value, "shape", None)
    size = f" {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"<{kind.__module__}.{kind.__qualname__}{size} {hashing.content(value).hex()[:12]}>"


# ------------------------------------------------------------------------------------------------- the running session
@dataclass(frozen=True)
class Session:
    """The result that is being computed: where a task may keep a log, a model, a checkpoint."""

    id: str
    table: str
    cache_dir: str

    @property
    def folder(self) -> Path:
        """sessions/runs/<id>, made on first use."""
        folder = Path(self.cache_dir) / "runs" / self.id
        folder.mkdir(parents=True, exist_ok=True)
        return folder


_current: contextvars.ContextVar[Session | None] = contextvars.ContextVar("gridrun_session", default=None)


def current_session() -> Session | None:
    """The session of the cached function that runs now; None when it was called directly."""
    return _current.get()


# ------------------------------------------------------------------------------------------------------------- pickles
def pickle_loader(session_id: str, table: str, cache_dir: str) -> Any:
    """Read what pickle_saver wrote, if the environment allows it (a pickle can run any code)."""
    import pickle

    path = Path(cache_dir) / "runs" / session_id / "value.pickle"
    if os.environ.get("GRIDRUN_ALLOW_PICKLE") != "1":
        raise StoreError(
            f"{path} is a pickle, which can run any code when it is read; if you trust everyone who can write to "
            "this store, set GRIDRUN_ALLOW_PICKLE=1"
        )
    raw = path.read_bytes()
    note = json.loads(path.with_suffix(".json").read_text())
    if hashing.digest(raw).hex() != note["digest"]:
        raise StoreError(f"{path} failed its checksum; compute it again with run_mode='force'")
    return pickle.loads(raw)


def pickle_saver(session_id: str, table: str, cache_dir: str, value: Any) -> None:
    """Keep a result that no safe format holds, as a pickle; reading it back needs GRIDRUN_ALLOW_PICKLE=1."""
    import pickle

    from .store import write_whole

    folder = Path(cache_dir) / "runs" / session_id
    folder.mkdir(parents=True, exist_ok=True)
    raw = pickle.dumps(value)
    write_whole(folder / "value.pickle", raw)
    write_whole(folder / "value.json", json.dumps({"digest": hashing.digest(raw).hex()}).encode())


pickle_saver.loader = pickle_loader  # type: ignore[attr-defined]
