"""A function and the arguments of a call, prepared once: from a point to its key, from a key to its stored value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import hashing
from .arguments import Arguments, ByName, Shape
from .cache import Cached
from .keying import Keying
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
        if isinstance(self.filler, Arguments) and self.filler.is_plain:
            self.quick_key = _quick_key(self.keying(self.filler.shape), self.filler.keys)
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


def _quick_key(keying: Keying, keys: Sequence[str]) -> Callable[[Any], bytes | None] | None:
    """point -> key, for arguments that are plain "{name}" and dependencies that are whole parameters.

    It gives None for a point that needs the long way: a missing key, a template, a value of unusual type.
    """
    if keying.parts or not all(isinstance(slot, int) for slot in keying.slots.values()):
        return None
    given = [recipe for recipe in keying.recipes if recipe[1] in keying.slots]
    slots = [(keys[keying.slots[name]], label, default) for label, name, default in given]
    if any(name not in keying.slots and not default for _, name, default in keying.recipes):
        return None
    encoder_of, prefix, digest = hashing.ENCODERS.get, keying.cached.prefix, hashing.digest

    def key_of(point: Any) -> bytes | None:
        pieces = [prefix]
        try:
            for key, label, default in slots:
                value = point[key]
                encoder = encoder_of(type(value))
                if encoder is None or value.__class__ is str and has_template(value):
                    return None
                encoded = encoder(value)
                if encoded != default:
                    pieces.append(label)
                    pieces.append(encoded)
        except (KeyError, hashing.Unencodable, RecursionError):
            return None
        return digest(b"".join(pieces))

    return key_of
