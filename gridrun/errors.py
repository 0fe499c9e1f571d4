"""What a user can mend. Each error keeps the built-in class it refines, and is printed as one line."""

from __future__ import annotations

from collections.abc import Iterable


class GridrunError(Exception):
    """Base of every error that names something the user can change."""

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0]) if self.args else ""


class MissingKey(GridrunError, KeyError):
    """A key that a point, a grid or an argument does not have."""


class TemplateError(GridrunError, ValueError):
    """A template that cannot be read or filled."""


class UsageError(GridrunError, ValueError):
    """An argument outside what a function accepts."""


class UnhashableInput(GridrunError, TypeError):
    """A value that has no canonical encoding, so it cannot be part of a key."""


class UnstorableResult(GridrunError, TypeError):
    """A result that the store cannot keep without pickle."""


class NotComputed(GridrunError, LookupError):
    """Results that were asked for without computing, and are not there."""


class TableClash(GridrunError, ValueError):
    """One table name claimed by two different functions."""


class StoreError(GridrunError, OSError):
    """The store cannot be read or written: disk full, read-only, damaged."""


class DamagedFile(StoreError):
    """A stored result that is missing or is not what was written."""


class CodeChanged(GridrunError, RuntimeError):
    """A function changed since its results were stored, and `code="error"` forbids both reuse and recomputing."""


class WorkerDied(GridrunError, RuntimeError):
    """The process that computed a point ended without a result."""


def nearest(name: object, known: Iterable[object]) -> str:
    """The way out of a typing error: the near name, or else the names there are.

    >>> nearest("lerning_rate", ["seed", "learning_rate"])
    "did you mean 'learning_rate'?"
    >>> nearest("q", ["a", "b"])
    'it has a, b'
    """
    import difflib

    names = sorted({str(k) for k in known})
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
    return f"it has {shown}" if names else "it is empty"


def among(name: object, known: Iterable[object]) -> str:
    """As `nearest`, for a list to choose from, in its own order.

    >>> among("fast", ["exact", "screened", "fused"])
    'there are exact, screened, fused'
    """
    names = [str(k) for k in known]
    words = nearest(name, names)
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return f"there are {', '.join(names[:40])}{more}" if words.startswith("it has") else words
