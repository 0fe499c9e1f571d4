"""What a function or class is called, wherever it is defined."""

from __future__ import annotations

import os
import sys
from typing import Any


def module_name(thing: Any) -> str:
    """The module of a function or class; a script that runs (`__main__`) is called as when it is imported.

    "" for code that was executed without a module.
    """
    module = getattr(thing, "__module__", None) or ""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    if spec is not None:
        return str(spec.name)
    return os.path.splitext(os.path.basename(file))[0] if file else module


def identity(thing: Any) -> str:
    """Module and qualified name; without a module, the name alone.

    >>> identity(identity), identity(dict)
    ('gridrun.identity:identity', 'builtins:dict')
    """
    module = module_name(thing)
    return f"{module}:{thing.__qualname__}" if module else str(thing.__qualname__)
