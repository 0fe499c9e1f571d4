"""A function and the arguments of a call, prepared once: from a point to its key, from a key to its stored value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import hashing
from .arguments import Arguments, ByName, Shape
from .cache import Cached
from .keying import Keying, part_label
from .lookup import MISS, Lookup
from .store import open_store
from .template import has_template


class Plan:
    """What run() needs to know of one function under one set of argument templates."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.function = function
        self.cached = cached_of(function)
        self.filler = Arguments(args, kwargs) if args or kwargs else ByName(function)
        self.lookup: Lookup | None = None
        self.keyings: dict[Shape, Keying] = {}
        self.quick_key: Callable[[Any], bytes | None] | None = None

    def keying(self, shape: Shape) -> Keying:
        """How the arguments of one call shape become a key."""
        found = self.keyings.get(shape)
        if found is None:
            assert self.cached is not None
            found = self.keyings[shape] = Keying(self.cached, *shape)
        return found

    def ask(self, lookup: Lookup) -> Plan:
        """Look results up there."""
        self.lookup = lookup
        lookup.store.check_table(lookup.cached.table, lookup.cached.identity)
        if isinstance(self.filler, Arguments) and all(self.filler.sources):
            self.quick_key = _quick_key(self.keying(self.filler.shape), self.filler.sources)
        return self

    def quick_keys(self, listed: Sequence[Any]) -> list[bytes | None]:
        """The key of each point that the quick way can tell, None for the others."""
        key_of = self.quick_key
        return [None] * len(listed) if key_of is None else [key_of(point) for point in listed]

    def quick_values(self, keys: list[bytes | None]) -> list[Any]:
        """The values that the quick way finds, MISS where it does not."""
        if self.lookup is None or self.quick_key is None:
            return [MISS] * len(keys)
        value_of = self.lookup.value
        return [value_of(key) for key in keys]


@dataclass
class Miss:
    """A point that has no result yet; `twins` are the later points with the same key."""

    plan: Plan
    number: int
    shape: Shape
    values: list[Any]
    key: bytes = b""
    twins: list[int] = field(default_factory=list)


def cached_of(function: Callable[..., Any]) -> Cached | None:
    """What cachable() knows of a function; None for a plain one, also one that functools.wraps made look alike."""
    cached: Cached | None = getattr(function, "__gridrun__", None)
    return cached if cached is not None and cached.function is function else None


def plan_for(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], cache_dir: Any) -> Plan:
    """The plan of a call; for a cachable function it is made once per store and set of templates."""
    cached = cached_of(function)
    if cached is None:
        return Plan(function, args, kwargs)
    store = open_store(cache_dir)
    cached.renew()
    mark = (cached, cached.fingerprint.digest, tuple(args), tuple(kwargs.items()))
    try:
        plan: Plan | None = store.plans.get(mark)
    except TypeError:  # an argument that cannot be hashed: a plan for this call alone
        return Plan(function, args, kwargs).ask(Lookup(cached, store))
    if plan is None:
        plan = Plan(function, args, kwargs).ask(Lookup(cached, store))
        if all(isinstance(a, str) for a in (*args, *kwargs.values())):
            store.plans[mark] = plan
    return plan


def _quick_key(keying: Keying, sources: Sequence[str]) -> Callable[[Any], bytes | None] | None:
    """point -> key, for arguments that are plain "{name}" or "{*}", and no dependency with a template in its key.

    It gives None for a point that needs the long way: a missing key, a template, a value without an encoding.
    The function itself is None where every point needs it.
    """
    slots = keying.slots
    if not all(isinstance(slot, int) for slot in slots.values()):
        return None
    recipes = [(name, label, default) for label, name, default in keying.recipes]
    if any(name not in slots and not default or sources[slots.get(name, 0)] == "*" for name, _, default in recipes):
        return None
    if any(name not in slots or has_template(key) for _, name, key in keying.parts):
        return None
    wholes = [(sources[slots[name]], label, default) for name, label, default in recipes if name in slots]
    parts = [(sources[slots[name]], key, part_label(label)) for label, name, key in keying.parts]
    encoder_of, encode_other, digest = hashing.ENCODERS.get, hashing.encode_value, hashing.digest
    prefix = keying.cached.prefix

    def key_of(point: Any) -> bytes | None:
        pieces = [prefix]
        add = pieces.append
        try:
            for source, label, default in wholes:
                value = point[source]
                encoder = encoder_of(value.__class__, encode_other)
                if value.__class__ is str and has_template(value):
                    return None
                encoded = encoder(value)
                if encoded != default:
                    add(label)
                    add(encoded)
            for source, key, label in parts:
                argument = point if source == "*" else point[source]
                if argument.__class__ is not dict:
                    return None
                value = argument[key]
                encoder = encoder_of(value.__class__, encode_other)
                if value.__class__ is str and has_template(value):
                    return None
                add(label)
                add(encoder(value))
        except (KeyError, TypeError, hashing.Unencodable, RecursionError):
            return None
        return digest(b"".join(pieces))

    return key_of
