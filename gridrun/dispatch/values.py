"""Values that people write in profiles and launch settings: of the right kind, within their range, or a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import UsageError, nearest

Check = Callable[[Any], Any]  # the value in its one form; raises ValueError with what was expected


def whole(least: int, most: int) -> Check:
    """Whole numbers of a range.

    >>> whole(1, 10)(3.0)
    3
    """

    def check(value: Any) -> int:
        number = _number(value)
        if number is None or not number.is_integer() or not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(value)

    return check


def above_zero(most: float) -> Check:
    """Numbers above 0, up to `most`."""

    def check(value: Any) -> float:
        number = _number(value)
        if number is None or not 0 < number <= most:
            raise ValueError(f"a number above 0, at most {most:g}")
        return number

    return check


def or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return check


def line(value: Any) -> str:
    """Text on one line; a whole number is a name too (an account called 2041)."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("text on one line")
    return value.strip()


def shell_lines(value: Any) -> tuple[str, ...]:
    """Lines of shell: a list of them, or one text."""
    listed = value.splitlines() if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)) or not all(isinstance(each, str) for each in listed):
        raise ValueError("a list of shell lines")
    found = tuple(each.rstrip() for text in listed for each in text.splitlines())
    if not all(each.replace("\t", "").isprintable() for each in found):
        raise ValueError("shell lines without control characters")
    return found


def table(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("a table, key = value")
    return dict(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def checked(where: str, given: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """Every value of a table in its one form.

    >>> checked("launch/a.toml", {"retries": 2}, {"retries": whole(0, 9)})
    {'retries': 2}

    Raises UsageError that names the place, the key (and the near one, if it is unknown) and the value.
    """
    if not isinstance(given, Mapping):
        raise UsageError(f"{where} is {shown(given)}; it must be a table, key = value")
    found = {}
    for key, value in given.items():
        if key not in checks:
            raise UsageError(f"{where}: no key {shown(key)}; {nearest(key, checks)}")
        try:
            found[key] = checks[key](value)
        except ValueError as error:
            raise UsageError(f"{where}: {key} = {shown(value)}; it must be {error}") from None
    return found


def shown(value: Any, longest: int = 60) -> str:
    """A value as Python writes it, cut if it is long.

    >>> shown("a" * 70)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a table within itself
        text = f"a {type(value).__name__}"
    return text if len(text) <= longest else text[: longest - 3] + "..."
