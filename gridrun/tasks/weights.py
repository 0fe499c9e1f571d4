"""Trained weights as a light record: torch is imported when they are loaded, not when the record is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from .. import StoreError

if TYPE_CHECKING:
    from torch import Tensor

FORM = "gridrun_form"


@dataclass(frozen=True)
class SavedWeights:
    """Weights in a safetensors file, and the xxh3_128 of that file."""

    path: Path
    checksum: str

    @property
    def form(self) -> dict[str, Any]:
        """What network and data these weights are of (see networks.form), from the head of the file."""
        with open(self.path, "rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return json.loads(head.get("__metadata__", {}).get(FORM, "{}"))

    def load(self) -> dict[str, Tensor]:
        """The tensors by name. Raises StoreError if the file is not what was written."""
        from safetensors.torch import load

        data = self.path.read_bytes()
        if xxhash.xxh3_128_hexdigest(data) != self.checksum:
            raise StoreError(f"{self.path} is damaged (its checksum differs): train this point again, with -force")
        return load(data)


@dataclass(frozen=True)
class WeightsInMemory:
    """What training gives when it is called directly, with no store to write to."""

    tensors: Mapping[str, Tensor] = field(repr=False)
    form: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def load(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return dict(self.tensors)
