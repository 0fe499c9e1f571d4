"""A made-up CIFAR-10 of a few test images and an untrained ResNet20, in a folder as a user's."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from gridrun.data.cifar10 import CIFAR10
from gridrun.nn import zoo


def make(folder: Path, n_images: int, patch: pytest.MonkeyPatch) -> Path:
    """The folder, which is GRIDRUN_DATA from now on."""
    (folder / "weights").mkdir(parents=True)
    (folder / CIFAR10.folder).mkdir()
    torch.save(zoo.network("ResNet20", seed=3).state_dict(), folder / "weights" / "ResNet20.th")
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (n_images, 3072), dtype=np.uint8)
    raw = pickle.dumps({"data": pixels, "labels": draw.integers(0, 10, n_images).tolist()}, protocol=2)
    (folder / CIFAR10.folder / "test_batch").write_bytes(raw)
    patch.setitem(CIFAR10.test, "test_batch", hashlib.md5(raw).hexdigest())  # type: ignore[arg-type]
    patch.setenv("GRIDRUN_DATA", str(folder))
    patch.setenv("GRIDRUN_CACHE", str(folder / "cache"))
    return folder
