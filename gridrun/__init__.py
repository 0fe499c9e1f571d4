"""gridrun: a grid of neural networks, trained once, evaluated once, drawn from what was stored."""

from typing import TYPE_CHECKING, Any

from .cache import cachable as cachable
from .errors import GridrunError as GridrunError
from .errors import MissingKey as MissingKey
from .errors import NotComputed as NotComputed
from .errors import StoreError as StoreError
from .errors import UsageError as UsageError
from .grid import configure as configure
from .grid import make_unique as make_unique
from .grid import query as query
from .grid import reduce_keys as reduce_keys
from .grid import split as split
from .grid import to_frame as to_frame
from .outcome import Failed as Failed
from .outcome import GridrunWarning as GridrunWarning
from .outcome import PointState as PointState
from .runner import ensure as ensure
from .runner import explain as explain
from .runner import run as run
from .session import current_session as current_session
from .template import format_template as format_template
from .template import get as get

if TYPE_CHECKING:
    from .pickles import pickle_saver as pickle_saver
    from .store import open_store as open_store

__version__ = "0.1.0"
_LAZY = {"open_store": "store", "pickle_saver": "pickles"}


def __getattr__(name: str) -> Any:
    """Import what few programs need when they first ask for it."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
