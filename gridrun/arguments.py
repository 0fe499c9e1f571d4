"""Templates of a call, filled from each point: `run(grid, f)("{seed}", level="{level}")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import MissingKey, nearest
from .template import Field, fill, format_template, get, has_template, parse, resolve

Shape = tuple[int, tuple[str, ...]]  # how many positional arguments, and which keywords follow them


class Arguments:
    """The arguments of one call of run(): only str ones are templates, everything else passes as it is."""

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.shape: Shape = (len(args), tuple(kwargs))
        self.items = [*args, *kwargs.values()]
        self.keys = [_plain_key(item) for item in self.items]
        self.is_plain = all(self.keys)
        self.sources = [key or ("*" if item == "{*}" else "") for key, item in zip(self.keys, self.items)]
        self.sees_point = any(has_template(i) and not _plain_key(i) for i in self.items if isinstance(i, str))

    def fill(self, point: Mapping[str, Any]) -> tuple[Shape, list[Any]]:
        """The shape of the call and its values, positional ones first."""
        if self.is_plain:
            try:
                values = [point[key] for key in self.keys]
            except KeyError:
                values = [format_template(point, item) for item in self.items]  # says what is missing, and where
            for i, value in enumerate(values):
                if type(value) is str and has_template(value):
                    values[i] = resolve(value, point, (self.keys[i],))
            return self.shape, values
        return self.shape, [
            fill(parse(item), point, (), item) if isinstance(item, str) and has_template(item) else item
            for item in self.items
        ]


class ByName:
    """No arguments at all: the function's parameters are filled from the point by name."""

    sees_point = False

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.positional_only, self.required, self.optional = _parameters(function)

    def fill(self, point: Mapping[str, Any]) -> tuple[Shape, list[Any]]:
        missing = [name for name in self.required if name not in point]
        if missing:
            raise MissingKey(
                f"{_name(self.function)} takes {', '.join(missing)}, which this point does not have; "
                f"{nearest(missing[0], point)}"
            )
        names = tuple(name for name in (*self.required, *self.optional) if name in point)
        first = [name for name in names if name in self.positional_only]
        others = tuple(name for name in names if name not in self.positional_only)
        return (len(first), others), [get(point, name) for name in (*first, *others)]


def _plain_key(item: Any) -> str:
    """`key` of a text that is just "{key}", else ""."""
    if not isinstance(item, str) or not has_template(item):
        return ""
    recipe = parse(item)
    field = recipe[0] if len(recipe) == 1 else None
    plain = isinstance(field, Field) and field.key and not field.calls and not field.raw and field.key != "*"
    return field.key if isinstance(field, Field) and plain else ""


def _parameters(function: Callable[..., Any]) -> tuple[set[str], list[str], list[str]]:
    """Names of the parameters: those that only positions fill, those that must be given, those with a default."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set(), [], []  # a built-in that does not say what it takes
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    positional_only = {p.name for p in named if p.kind is p.POSITIONAL_ONLY}
    required = [p.name for p in named if p.default is p.empty]
    return positional_only, required, [p.name for p in named if p.default is not p.empty]


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
