"""gridrun train --keys: the architectures, and the keys of one with their defaults and what they mean."""

from __future__ import annotations

from typing import Any

import click

from ..architectures import ARCHITECTURES
from ..errors import UsageError, nearest
from ._screen import show_rows


def tell_keys(name: str) -> None:
    """List the keys of an architecture; with "", the architectures.

    Raises UsageError for one that there is not, naming the nearest.
    """
    if not name:
        show_rows([{"architecture": each.name, "about": each.about} for each in ARCHITECTURES.values()])
        return
    if name not in ARCHITECTURES:
        raise UsageError(f"no architecture {name!r}; {nearest(name, ARCHITECTURES)}")
    click.echo(f"{name}: {ARCHITECTURES[name].about}\n")
    settings = ARCHITECTURES[name].settings()
    show_rows([{"key": key, "default": typed(default), "meaning": words} for key, default, words in settings])


def typed(value: Any) -> str:
    """A default as it is typed after -key=.

    >>> typed([1e-4, 1e-5]), typed("adam"), typed(None), typed(1 / 9)
    ('[0.0001, 1e-05]', 'adam', 'None', '0.1111111111111111')
    """
    return value if isinstance(value, str) else repr(value)
