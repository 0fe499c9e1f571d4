"""Fault lists of TensorFlow: the same faults under Keras's layer names and index order.

Convolutions are conv2d, conv2d_1, ... and dense layers dense, dense_1, ... in the order of the network; the index of a
convolution is (kh, kw, in, out) instead of (out, in, kh, kw), that of a dense layer (in, out) instead of (out, in).
Plain convolutions only: the depthwise ones of Keras have names and an index order of their own. The Keras model
must make its layers in the order of `shapes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from .weight_fault import Shapes, WeightFault

NAME = re.compile(r"(conv2d|dense)(_\d+)?")
# By dimensions: Keras's name, and which of torch's axes each of its own is.
KINDS_OF_LAYER: dict[int, tuple[str, tuple[int, ...]]] = {
    4: ("conv2d", (2, 3, 1, 0)),
    2: ("dense", (1, 0)),
}


def keras_names(shapes: Shapes) -> dict[str, str]:
    """Keras's name of each layer.

    >>> keras_names({"conv1": (16, 3, 3, 3), "conv2": (16, 16, 3, 3), "linear": (10, 64)})
    {'conv1': 'conv2d', 'conv2': 'conv2d_1', 'linear': 'dense'}
    """
    found: dict[str, str] = {}
    n_of = dict.fromkeys(KINDS_OF_LAYER, 0)
    for layer, shape in shapes.items():
        name, _ = _kind_of(layer, shape)
        n = n_of[len(shape)]
        found[layer] = f"{name}_{n}" if n else name
        n_of[len(shape)] += 1
    return found


def is_tensorflow(layers: Collection[str], shapes: Shapes) -> bool:
    """Whether a list with these layers is one of Keras's names; `shapes` are those of the PyTorch network.

    >>> is_tensorflow({"conv2d", "dense"}, {"conv1": (16, 3, 3, 3)}), is_tensorflow({"fc"}, {"conv1": (16, 3, 3, 3)})
    (True, False)
    """
    return not any(layer in shapes for layer in layers) and any(map(NAME.fullmatch, layers))


def keras_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Shapes by Keras's names in its order, as fault_list.read wants them for a TensorFlow list.

    >>> keras_shapes({"conv1": (16, 3, 5, 7)})
    {'conv2d': (5, 7, 3, 16)}
    """
    return {name: _turned(shapes[layer]) for layer, name in keras_names(shapes).items()}


def to_tensorflow(faults: Iterable[WeightFault], shapes: Shapes) -> list[WeightFault]:
    """Faults of a PyTorch network as those of its Keras twin.

    >>> to_tensorflow([WeightFault("conv1", (3, 0, 2, 1), 15)], {"conv1": (16, 3, 3, 3)})
    [WeightFault(layer='conv2d', index=(2, 1, 0, 3), bit=15, kind='flip', mask=0)]
    """
    return _renamed(faults, keras_names(shapes), _turned)


def from_tensorflow(faults: Iterable[WeightFault], shapes: Shapes) -> list[WeightFault]:
    """The other way round; `shapes` are those of the PyTorch network."""
    return _renamed(faults, {name: layer for layer, name in keras_names(shapes).items()}, _turned_back)


def _renamed(
    faults: Iterable[WeightFault], names: dict[str, str], turn: Callable[[tuple[int, ...]], tuple[int, ...]]
) -> list[WeightFault]:
    found = []
    for fault in faults:
        if fault.layer not in names:
            raise ValueError(f"{fault}: no such layer; there are {', '.join(names)}")
        _kind_of(fault.layer, fault.index)
        found.append(replace(fault, layer=names[fault.layer], index=turn(fault.index)))
    return found


def _turned(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(numbers[axis] for axis in KINDS_OF_LAYER[len(numbers)][1])


def _turned_back(numbers: tuple[int, ...]) -> tuple[int, ...]:
    order = KINDS_OF_LAYER[len(numbers)][1]
    return tuple(numbers[order.index(axis)] for axis in range(len(order)))


def _kind_of(layer: str, numbers: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    if len(numbers) not in KINDS_OF_LAYER:
        raise ValueError(f"{layer} {tuple(numbers)}: want the 4 dimensions of a convolution or the 2 of a dense layer")
    return KINDS_OF_LAYER[len(numbers)]
