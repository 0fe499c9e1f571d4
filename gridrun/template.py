r"""A small language that names values of a point: `{seed}`, `{fav_{topic}}`, `{say({mood},hello)}`.

    {key}            the value of the key; the object itself when nothing stands around the braces
    {*}              the whole point
    {pre_{k}} {{k}}  the name of a key may itself be a template
    {f(a,{b})(c)}    calls: plain text passes as str, `{b}` passes the object, `f()` passes nothing
    {!f(a)}          as `{f(a)}`, but a text that comes back is left as it is
    \{ \} \, \( \) \! \\  the character itself (only inside a text that has braces)

A text is parsed once into nested tuples (a recipe) and filled from many points. A string value that contains a
template is resolved again, until none is left.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from .errors import MissingKey, TemplateError, nearest

Point = Mapping[str, Any]
MAX_DEPTH = 100
ESCAPED = "{},()!\\"


class Field:
    """One `{...}`: the recipe of its name, its calls, and whether a returned text is left as it is."""

    __slots__ = ("calls", "key", "name", "raw", "source")

    def __init__(self, name: Recipe, calls: list[list[Recipe]], raw: bool, source: str) -> None:
        self.name, self.calls, self.raw, self.source = name, calls, raw, source
        self.key = name[0] if len(name) == 1 and isinstance(name[0], str) else ""  # a plain name, the usual case


Recipe = tuple["str | Field", ...]


def format_template(point: Point, text: Any) -> Any:
    """Fill `text` from `point`.

    Exactly one balanced `{...}` gives the object itself, anything else a str; a text without braces, or a value that
    is no str, comes back unchanged.

    >>> point = {"seed": 1, "k": "seed", "mood": "{k}!", "twice": lambda x: 2 * x}
    >>> format_template(point, "{seed}"), format_template(point, "s{seed}"), format_template(point, "{{k}}")
    (1, 's1', 1)
    >>> format_template(point, "{twice({seed})}"), format_template(point, "{twice(a)}")
    (2, 'aa')
    >>> format_template(point, r"\\{seed\\} is {seed}; {mood}")
    '{seed} is 1; seed!'

    Raises MissingKey for a key that the point does not have, TemplateError for an unbalanced brace, a cycle, or a
    call of what is not callable.
    """
    if not isinstance(text, str) or not has_template(text):
        return text
    return fill(parse(text), point, (), text)


def has_template(text: str) -> bool:
    """Whether `text` has anything to fill."""
    return "{" in text or "}" in text


def get(point: Point, key: str, default: Any = ...) -> Any:
    """The value of `key` with templates resolved; `default` if the point has no such key.

    >>> get({"a": "{b}", "b": 2}, "a"), get({}, "a", None)
    (2, None)
    """
    if key not in point:
        if default is ...:
            raise MissingKey(f"no key {key!r} in this point; {nearest(key, point)}")
        return default
    value = point[key]
    return resolve(value, point, (key,)) if isinstance(value, str) and has_template(value) else value


# ---------------------------------------------------------------------------------------------------------- parsing
@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Recipe:
    """`text` as a recipe: strings stand for themselves, fields are filled."""
    try:
        recipe, _ = _parse_until(text, 0, "")
    except RecursionError:
        raise TemplateError(f"braces are nested too deeply in {text[:40]!r}...") from None
    return recipe


def _parse_until(text: str, start: int, stops: str) -> tuple[Recipe, int]:
    """Read from `start` to the first character of `stops` outside braces and parentheses (or the end)."""
    parts: list[str | Field] = []
    buffer: list[str] = []
    position, depth = start, 0
    while position < len(text):
        char = text[position]
        if char == "\\" and text[position + 1 : position + 2] and text[position + 1] in ESCAPED:
            buffer.append(text[position + 1])
            position += 2
        elif depth == 0 and char in stops:
            break
        elif char == "{":
            if buffer:
                parts.append("".join(buffer))
                buffer = []
            field, position = _parse_field(text, position)
            parts.append(field)
        elif char == "}":
            raise TemplateError(_mark(text, position, "this closing brace has no opening one"))
        else:
            depth += (char == "(") - (char == ")") if stops == ",)" else 0
            buffer.append(char)
            position += 1
    if buffer:
        parts.append("".join(buffer))
    return tuple(parts), position


def _parse_field(text: str, start: int) -> tuple[Field, int]:
    """Read one `{...}` that opens at `start`; give it and the position after it."""
    raw = text[start + 1 : start + 2] == "!"
    name, position = _parse_until(text, start + 1 + raw, "(}")
    calls: list[list[Recipe]] = []
    while text[position : position + 1] == "(":
        arguments, position = _parse_arguments(text, position)
        calls.append(arguments)
    if text[position : position + 1] != "}":
        where = start if position >= len(text) else position
        raise TemplateError(_mark(text, where, "this brace is never closed" if where == start else "expected } here"))
    return Field(name, calls, raw, text[start : position + 1]), position + 1


def _parse_arguments(text: str, start: int) -> tuple[list[Recipe], int]:
    arguments: list[Recipe] = []
    position = start
    while True:
        argument, position = _parse_until(text, position + 1, ",)")
        if position >= len(text):
            raise TemplateError(_mark(text, start, "this parenthesis is never closed"))
        arguments.append(argument)
        if text[position] == ")":
            empty = len(arguments) == 1 and not argument
            return [] if empty else arguments, position + 1


def _mark(text: str, position: int, what: str) -> str:
    return f"{what}:\n  {text}\n  {' ' * position}^\nwrite \\{{ and \\}} for literal braces"


# ---------------------------------------------------------------------------------------------------------- filling
def fill(recipe: Recipe, point: Point, trail: tuple[str, ...], text: str) -> Any:
    """Fill a recipe: one field gives its object, everything else a str."""
    if len(recipe) == 1 and isinstance(recipe[0], Field):
        return _fill_field(recipe[0], point, trail, text)
    return "".join(part if isinstance(part, str) else str(_fill_field(part, point, trail, text)) for part in recipe)


def resolve(value: Any, point: Point, trail: tuple[str, ...]) -> Any:
    """Resolve a str value until no template is left in it; `trail` holds the keys that led here."""
    if not isinstance(value, str) or not has_template(value):
        return value
    if len(trail) > MAX_DEPTH:
        raise TemplateError(f"templates lead on without end: {' -> '.join(trail[:5])} -> ...")
    return fill(parse(value), point, trail, value)


def _fill_field(field: Field, point: Point, trail: tuple[str, ...], text: str) -> Any:
    key = field.key or str(fill(field.name, point, trail, text))
    if key == "*" and "*" not in point:
        value: Any = point
    elif key not in point:
        raise MissingKey(f"no key {key!r} in this point, needed by\n{_point_at(text, field)}\n{nearest(key, point)}")
    elif field.raw and not field.calls:
        return point[key]
    else:
        value = point[key]
        if isinstance(value, str):
            if key in trail:
                raise TemplateError(f"templates form a cycle: {' -> '.join((*trail[trail.index(key) :], key))}")
            value = resolve(value, point, (*trail, key))
    for arguments in field.calls:
        value = _call(value, [fill(a, point, trail, text) for a in arguments], key, field, text)
    if field.calls and not field.raw:
        value = resolve(value, point, (*trail, f"{key}()"))
    return value


def _call(function: Callable[..., Any], arguments: list[Any], key: str, field: Field, text: str) -> Any:
    if not callable(function):
        kind = type(function).__name__
        raise TemplateError(
            f"{key!r} is called but is no function (it is {kind}: {function!r:.80})\n{_point_at(text, field)}"
        )
    return function(*arguments)


def _point_at(text: str, field: Field) -> str:
    start = max(text.find(field.source), 0)
    return f"  {text}\n  {' ' * start}{'^' * len(field.source)}"
