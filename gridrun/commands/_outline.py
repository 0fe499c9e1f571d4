"""A stored result at a glance: plain values as they are, arrays and tensors in a few words."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from ..codec import READERS, _Reader
from ..errors import StoreError

if TYPE_CHECKING:
    from ..store import Record


class Outliner(_Reader):
    """Builds a value, but says of its large parts only what they are."""

    def value(self, node: Any) -> Any:
        kind = node.get("$") if isinstance(node, dict) else None
        if kind == "with tensors":
            return self.value(node["v"])
        if kind in ("array", "npy"):
            return f"{node.get('dtype', '')} array {'x'.join(map(str, node.get('shape', [])))}".strip()
        if kind in ("tensor", "DataFrame", "Series"):
            return kind
        return super().value(node)


def outline(record: Record) -> Any:
    """What a result is; a few words for one that is damaged or that its function's own saver keeps."""
    data = record.payload
    try:
        if data[:1] != b"J":
            return READERS[data[:1]](data) if data[:1] in READERS else "kept by its own saver"
        (length,) = struct.unpack_from("<I", data, 1)
        return Outliner(data[5 + length :], record.store.read_blob).value(json.loads(data[5 : 5 + length]))
    except StoreError as error:
        return f"damaged: {error}"
