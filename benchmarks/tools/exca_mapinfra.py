"""exca's MapInfra: a method over many items, each with a text that its user makes as its key."""

# exca reads the annotations of its methods, so they are not left as texts here.

import inspect
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def keep(function: Callable[..., Any], folder: Path, uid: str = "") -> Callable[[Sequence[dict[str, Any]]], list[Any]]:
    """MapInfra over all points at once; `uid` is the template of an item's key, by default all its arguments."""
    import exca
    import pydantic

    uid = uid or ",".join("{" + name + "}" for name in inspect.signature(function).parameters)

    class Work(pydantic.BaseModel):
        infra: exca.MapInfra = exca.MapInfra(folder=folder)

        @infra.apply(item_uid=uid.format_map)
        def results(self, items: typing.Sequence[typing.Any]) -> typing.Iterator[typing.Any]:
            for item in items:
                yield function(**item)

    work = Work()
    return lambda points: list(work.results(points))
