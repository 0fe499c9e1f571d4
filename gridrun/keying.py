"""From the arguments of a call to its key: 128 bits over what the result depends on."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

from . import hashing
from .cache import NOTHING, Cached
from .errors import MissingKey, nearest
from .template import format_template, get, has_template


class Keying:
    """How the arguments of one call shape (so many positional, these keywords) become keys."""

    def __init__(self, cached: Cached, n_args: int, keywords: tuple[str, ...]) -> None:
        self.cached = cached
        named_slots = {keyword: n_args + i for i, keyword in enumerate(keywords)}
        # parameter -> position in (args..., kwargs...), or a tuple or dict of positions
        self.slots = slots = cached.parameters.bind(range(n_args), named_slots, cached.table)
        defaults = cached.parameters.defaults
        named = cached.dependencies
        if named is None:
            named = tuple(name for name in cached.parameters.names if name in slots or name in defaults)
        self.labels = sorted(dict.fromkeys(named))
        self.whole = [name for name in self.labels if ":" not in name]
        self.parts = [(label, *label.split(":", 1)) for label in self.labels if ":" in label]
        self.recipes = [self._recipe(name) for name in self.whole]

    def _recipe(self, name: str) -> tuple[bytes, str, bytes]:
        default = self.cached.parameters.defaults.get(name, NOTHING)
        encoded = b"" if default is NOTHING else _try_encode(default)
        return hashing.encode_value(name), name, encoded

    def argument(self, name: str, values: Sequence[Any]) -> Any:
        """The argument of a parameter, its default if none was given."""
        slot = self.slots.get(name, NOTHING)
        if slot is NOTHING:
            parameters = self.cached.parameters
            return () if name == parameters.rest else {} if name == parameters.extra else parameters.defaults[name]
        if isinstance(slot, tuple):
            return [values[i] for i in slot]
        if isinstance(slot, dict):
            return {key: values[i] for key, i in slot.items()}
        return values[slot]

    def key(self, values: Sequence[Any]) -> bytes:
        """The 16 bytes that stand for a call with `values`. Raises UnhashableInput, MissingKey."""
        pieces = [self.cached.prefix]
        for label, name, default in self.recipes:
            if name in self.slots or not default:
                encoded = _encode(self.argument(name, values), name)
                if encoded != default:
                    pieces += (label, encoded)
        for dependency, name, key in self.parts:
            argument = self.argument(name, values)
            value = argument.get(key, NOTHING) if type(argument) is dict else NOTHING
            if value is NOTHING or type(value) is str and has_template(value):
                key, value = self._part(dependency, argument, key)
                dependency = f"{name}:{key}"
            pieces += (part_label(dependency), _encode(value, dependency))
        return hashing.digest(b"".join(pieces))

    def _part(self, label: str, argument: Any, key: str) -> tuple[str, Any]:
        """The (filled) key of a dependency `name:key`, and its value in the argument."""
        if isinstance(argument, Mapping):
            filled = str(format_template(argument, key)) if has_template(key) else key
            if filled in argument:
                return filled, get(argument, filled)
            if _is_index(filled) and int(filled) in argument:
                return filled, argument[int(filled)]
            raise MissingKey(
                f"{self.cached.table} depends on {label!r}, but its argument has no key {filled!r}; "
                f"{nearest(filled, argument)}"
            )
        if _is_index(key) and hasattr(argument, "__getitem__"):
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
        asked = [*self.whole, *(name for _, name, _ in self.parts)]
        out = {name for name in asked if name not in self.slots}
        for _, name, default in self.recipes:
            if default and name in self.slots and _try_encode(self.argument(name, values)) == default:
                out.add(name)
        return out

    def described(self, values: Sequence[Any]) -> dict[str, Any]:
        """The dependencies as plain values, for the record."""
        out = {name: self.argument(name, values) for name in self.whole}
        for label, name, key in self.parts:
            filled, value = self._part(label, self.argument(name, values), key)
            out[f"{name}:{filled}"] = value
        return {name: v if type(v) in AS_THEY_ARE else describe(v) for name, v in out.items()}

    def drifted(self, values: Sequence[Any], then: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """What templates in a point mean here, where that is not what they meant `then` (what described() gave):
        (then, now) of each dependency."""
        out = {}
        for label, name, key in self.parts:
            argument = self.argument(name, values)
            value = argument.get(key, NOTHING) if type(argument) is dict else None
            if value is NOTHING or type(value) is str and has_template(value):
                filled, value = self._part(label, argument, key)
                before, now = then.get(f"{name}:{filled}"), describe(value)
                if repr(before) != repr(now):
                    out[filled] = before, now
        return out


@functools.lru_cache(maxsize=256)
def keying_of(cached: Cached, n_args: int, keywords: tuple[str, ...]) -> Keying:
    """The keying of a call shape, made once."""
    return Keying(cached, n_args, keywords)


def _is_index(key: str) -> bool:
    return key.removeprefix("-").isdigit()


def _encode(value: Any, name: str) -> bytes:
    """The encoding of a dependency; `name` is how an error calls it."""
    encoder = hashing.ENCODERS.get(type(value))
    try:
        return encoder(value) if encoder else hashing.encode(value, name)
    except (hashing.Unencodable, RecursionError):
        return hashing.encode(value, name)  # says where


@functools.lru_cache(maxsize=65536)
def part_label(label: str) -> bytes:
    """What stands before the value of a dependency `name:key` in a key."""
    return b"k" + hashing.encode_value(label)


AS_THEY_ARE = (int, float, bool, type(None))


def _try_encode(value: Any) -> bytes:
    try:
        return hashing.encode_value(value)
    except (hashing.Unencodable, RecursionError):
        return b""


def describe(value: Any) -> Any:
    """A JSON-like text of a value for people: small plain values as they are, others by kind and digest."""
    kind = type(value)
    if kind in AS_THEY_ARE:
        return value
    if isinstance(value, str):
        return str(value) if len(value) <= 200 else f"{value[:200]}..."
    if kind in (list, tuple) and len(value) <= 20:
        return [describe(v) for v in value]
    if kind is dict and len(value) <= 60:
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, types.FunctionType):
        from .identity import identity

        return identity(value)
    if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return describe(value.item())
    shape = getattr(value, "shape", None)
    size = f" {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"<{kind.__module__}.{kind.__qualname__}{size} {hashing.content(value).hex()[:12]}>"
