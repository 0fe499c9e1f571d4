"""Conditions on the command line: key=value, key!=value, key<value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import UsageError
from ._settings import literal

CONDITION = re.compile(r"(.+?)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)


def _equal(value: Any, wanted: Any) -> bool:
    """Equal, or one of a list of wanted values."""
    if isinstance(wanted, (list, tuple, set)) and not isinstance(value, (list, tuple)):
        return value in wanted
    return bool(value == wanted)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": _equal,
    "!=": lambda value, wanted: not _equal(value, wanted),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(NamedTuple):
    """One --where: the key as written, the operator's sign, and the value as Python and as text."""

    key: str
    sign: str
    value: Any
    text: str

    def holds(self, value: Any) -> bool:
        as_text = isinstance(value, str) and self.sign in ("=", "!=") and not isinstance(self.value, list)
        try:
            return bool(OPERATORS[self.sign](value, self.text if as_text else self.value))
        except TypeError:  # no order between these two
            return False


def conditions(texts: Iterable[str]) -> list[Condition]:
    """What --where options say.

    >>> [tuple(condition) for condition in conditions(["seed=0", "level<=0.3"])]
    [('seed', '=', 0, '0'), ('level', '<=', 0.3, '0.3')]
    """
    found = []
    for text in texts:
        match = CONDITION.fullmatch(text)
        if not match:
            raise UsageError(f"--where {text!r} is no condition; write key=value, key!=value, key<value ...")
        key, sign, value = match.groups()
        found.append(Condition(key.strip(), sign, literal(value), value.strip()))
    return found


def wanted(texts: Iterable[str]) -> list[tuple[str, Callable[[Any], bool]]]:
    """The same for the points of a grid: see experiment.override.

    >>> [(key, holds(0.5)) for key, holds in wanted(["level<=0.3", "level>0"])]
    [('level', False), ('level', True)]
    """
    return [(condition.key, condition.holds) for condition in conditions(texts)]
