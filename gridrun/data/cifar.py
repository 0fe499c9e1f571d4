"""Reading the CIFAR data sets (Krizhevsky 2009): pickles of 32x32 colour images, as they are published for Python.

A pickle can run any code when it is read. These are read by an unpickler that makes plain dicts, lists, numbers and
text, and arrays of bytes; it knows nothing else, so it can run nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .folders import checked, data_folder, md5_of
from .prepared import Arrays, prepared
from .splits import Images, Splits, colours, validation_split

Colours = tuple[float, float, float]


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets: `train` and `test` are its files with their MD5s, in `folder` under the data folder."""

    name: str
    folder: str
    address: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    labels: str
    n_classes: int
    mean: Colours
    std: Colours

    def splits(self, data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
        """50,000 training and 10,000 test images (n, 3, 32, 32), standardised."""
        train, validation = validation_split(self._images("train", data_dir), validation_fraction)
        return Splits(train, validation, self._images("test", data_dir), self.n_classes)

    def test_images(self, data_dir: str | Path | None = None) -> Images:
        """The test images alone; the training files need not be there."""
        return self._images("test", data_dir)

    def _images(self, part: str, data_dir: str | Path | None) -> Images:
        stamp = md5_of(" ".join(self._files(part).values()).encode())
        arrays = prepared(f"{self.name}/1/{stamp}", ["pixels", "labels"], lambda: self.read(part, data_dir))
        return colours(arrays["pixels"], self.mean, self.std), torch.from_numpy(arrays["labels"].astype(np.int64))

    def read(self, part: str, data_dir: str | Path | None = None) -> Arrays:
        """Pixels (n, 3, 32, 32) uint8 and labels (n,) uint8 of "train" or "test", straight from the files."""
        folder = data_folder(data_dir) / self.folder
        batches = [
            parse(checked(folder / name, md5, self.address), self.labels, str(folder / name))
            for name, md5 in self._files(part).items()
        ]
        pixels, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        return {"pixels": pixels, "labels": labels}

    def _files(self, part: str) -> Mapping[str, str]:
        return self.train if part == "train" else self.test


def parse(data: bytes, labels: str, name: str = "the CIFAR data") -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 3, 32, 32) uint8 and labels (n,) uint8 of a pickled batch, the labels under the key `labels`.

    Raises ValueError for anything else, and for a pickle that asks for more than plain data.
    """
    try:
        batch = Plain(io.BytesIO(data), encoding="latin1").load()
        pixels, numbers = batch["data"].array, np.frombuffer(bytes(batch[labels]), np.uint8)
    except Exception as error:  # a damaged pickle raises anything
        raise ValueError(f"{name} is no batch of CIFAR: {type(error).__name__}: {error}") from error
    if pixels.shape != (len(numbers), 3072):
        raise ValueError(f"{name} has pixels of shape {pixels.shape} for {len(numbers)} labels, not (n, 3072)")
    return pixels.reshape(-1, 3, 32, 32), numbers


class Plain(pickle.Unpickler):
    """Plain data, and arrays of bytes as `Pixels`; any other name in a pickle is an error.

    >>> parse(pickle.dumps({"data": print}), "labels")
    Traceback (most recent call last):
    ValueError: the CIFAR data is no batch of CIFAR: UnpicklingError: it asks for builtins.print
    """

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


class Pixels:
    """What stands in for a NumPy array while a pickle is read: only its shape and bytes are taken."""

    def __init__(self, *_: Any) -> None:
        self.array = np.zeros(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, Byte) or is_fortran:
            raise pickle.UnpicklingError("it holds an array of something else than bytes")
        data = data.encode("latin1") if isinstance(data, str) else data
        self.array = np.frombuffer(data, np.uint8).reshape(shape)


class Byte:
    """What stands in for the data type of an array: eight bits without sign, or an error."""

    def __init__(self, kind: str, *_: Any) -> None:
        if kind != "u1":
            raise pickle.UnpicklingError(f"it holds an array of {kind!r}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """The order of bytes, which one byte has not."""


def _latin1(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): Pixels,
    ("numpy._core.multiarray", "_reconstruct"): Pixels,
    ("numpy", "ndarray"): "ndarray",  # a mere name: `Pixels` is made whatever it says
    ("numpy", "dtype"): Byte,
    ("_codecs", "encode"): _latin1,  # how Python 3 writes bytes for Python 2
}
