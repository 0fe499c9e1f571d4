"""Trained weights as a light record: torch is imported when they are loaded, not when the record is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from .. import StoreError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SavedWeights:
    """Weights in a safetensors file, and the xxh3_128 of that file."""

    path: Path
    checksum: str

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

    def load(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return dict(self.tensors)
