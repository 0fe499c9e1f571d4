"""The old Table: axes by number, labels and values by index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridrun.table import Deviation
from gridrun.table import Table as Tidy
from gridrun.table.axes import Key, Labels, Point, Source, label_of

Order = Mapping[str, Sequence[Any]] | Sequence[Sequence[int] | None]


class Key_Var(Key):
    """An axis along one key."""


class Deviation_Var(Deviation):
    """The method of a point, by what deviates from `default`; sorted by name, the standard method too."""

    def __init__(self, default: Mapping[str, Any], label: str = "Method") -> None:
        super().__init__(default, label)

    @property
    def first(self) -> Sequence[str]:
        return ()


@dataclass(frozen=True)
class Dummy_Var:
    """An axis of one empty value, to fill a table up to its dimensions."""

    label: str = ""
    first: Sequence[Any] = ()

    def column(self, points: Sequence[Point], labels: Labels) -> list[Any]:
        return [""] * len(points)


class Product_Var:
    """Several axes as one: `Beta = 0.25, seed = 0`."""

    first: Sequence[Any] = ()

    def __init__(self, keys: Sequence[str | Source], label: str = "") -> None:
        self.sources = _sources(keys)
        self.label = label or ", ".join(source.label for source in self.sources)

    def column(self, points: Sequence[Point], labels: Labels) -> list[Any]:
        columns = [source.column(points, labels) for source in self.sources]
        names = [label_of(source.label, labels) for source in self.sources]
        return [", ".join(f"{name} = {value}" for name, value in zip(names, row)) for row in zip(*columns)]


class Table:
    """What a grid found, along `independent_keys` (keys or the variables below) and `dependent_keys`.

    dim: how many axes there are, the dependent keys being one; empty ones come first, or the first are joined
    order: {axis key or label: values or labels that come first}, or a list of indices (or None) for each axis

    `order` applies to every axis, and label_dict is left as it is.
    """

    Key_Var = Key_Var
    Deviation_Var = Deviation_Var
    Product_Var = Product_Var
    Dummy_Var = Dummy_Var

    def __init__(
        self,
        grid: Any,
        independent_keys: Sequence[str | Source],
        dependent_keys: Sequence[str],
        label_dict: Mapping[Any, str] | None = None,
        dim: int | None = None,
        order: Order | None = None,
    ) -> None:
        sources = _fit(_sources(independent_keys), dim)
        self.dependent_keys = _permuted(list(dependent_keys), _indices(order, len(sources)))
        self.tidy = Tidy(grid, sources, self.dependent_keys, label_dict)
        if order:
            wanted = dict(_wanted(self.tidy, order))
            self.tidy = Tidy(grid, sources, self.dependent_keys, label_dict, wanted)

    def shape(self) -> list[int]:
        """How many values each axis has; the last axis is the dependent keys."""
        return list(self.tidy.shape)

    def get_val(self, *indices: int) -> list[Any] | None:
        """What stands at one index for each axis: one value a point found there, None where there is none."""
        *place, dependent = indices
        return self.tidy.values(place, self.dependent_keys[dependent]) or None

    def get_label(self, axis: int, index: int | None = None) -> str:
        """How an axis is called, or the value at `index` along it."""
        if axis == len(self.tidy.axes):
            return "" if index is None else self.tidy.label(self.dependent_keys[index])
        return self.tidy.axes[axis].label if index is None else self.tidy.axes[axis].labels[index]


def _sources(keys: Sequence[str | Source]) -> list[Source]:
    return [Key_Var(key) if isinstance(key, str) else key for key in keys]


def _fit(sources: list[Source], dim: int | None) -> list[Source]:
    """Exactly dim - 1 axes: the first ones joined, or empty ones put in front."""
    surplus = 0 if dim is None else len(sources) - (dim - 1)
    if surplus > 0:
        return [Product_Var(sources[: surplus + 1]), *sources[surplus + 1 :]]
    return [Dummy_Var()] * -surplus + sources


def _indices(order: Order | None, axis: int) -> Sequence[int]:
    """The indices that `order` lists for one axis, if it is of that form."""
    if order is None or isinstance(order, Mapping) or axis >= len(order):
        return ()
    return order[axis] or ()


def _permuted(values: list[Any], indices: Sequence[int]) -> list[Any]:
    """Those of `indices` first, the others after them."""
    return [values[i] for i in indices if i < len(values)] + [v for i, v in enumerate(values) if i not in indices]


def _wanted(tidy: Tidy, order: Order) -> Iterator[tuple[str, list[Any]]]:
    """`order` by the names of the axes; what it says of other axes is for another table."""
    for number, axis in enumerate(tidy.axes):
        if isinstance(order, Mapping):
            yield axis.name, list(order.get(axis.name, order.get(axis.label, ())))
        else:
            yield axis.name, _permuted(list(axis.values), _indices(order, number))
