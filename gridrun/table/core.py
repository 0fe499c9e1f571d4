"""A table over a grid: its axes, what stands in each place, and the ways to write it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import UsageError, nearest
from ..grid import AnyGrid
from ..grid import points as points_of
from ..template import get
from .axes import Axis, Deviation, Key, Source, check_known, check_order, label_of, make_axis, mark
from .cells import Cell, Pick, make_cell

if TYPE_CHECKING:
    import pandas

Point = Mapping[str, Any]
Place = tuple[int, ...]
Bold = Sequence[str | Pick | None] | str | Pick | None


class Table:
    """What a grid found, along a few axes.

    independent: keys of the points, or computed axes such as `Deviation` (which method a point is)
    dependent: keys of what was measured; points that meet in one place of the table are averaged there
    labels: how keys and values are shown
    order: {axis: values or labels that come first}; the others follow, sorted (the standard method first)

    >>> grid = [{"beta": b, "seed": s, "acc": 90 + 8 * b + s} for b in (0.0, 0.25) for s in (0, 1)]
    >>> labels = {"beta = 0.25": "Beta", "acc": "Accuracy"}
    >>> print(Table(grid, [Deviation({"beta": 0.0})], ["acc"], labels).text(bold="max"))
    Method    Accuracy
    --------  -------------
    Standard  90.50 ± 0.71
    Beta      92.50 ± 0.71*

    The grid is not changed. Raises MissingKey for a key that no point has.
    """

    def __init__(
        self,
        grid: AnyGrid,
        independent: str | Source | Sequence[str | Source],
        dependent: str | Sequence[str],
        labels: Mapping[Any, str] | None = None,
        order: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        self.points: list[Point] = list(points_of(grid))
        self.labels = dict(labels or {})
        sources = _sources(independent)
        self.dependents = (dependent,) if isinstance(dependent, str) else tuple(dependent)
        check_known(self.dependents, self.points)
        check_order(order or {}, sources, self.labels)
        columns = [source.column(self.points, self.labels) for source in sources]
        self.axes = tuple(self._axis(source, column, order or {}) for source, column in zip(sources, columns))
        self._members = self._place(columns)
        methods = [index for index, source in enumerate(sources) if isinstance(source, Deviation)]
        self._compared = methods[0] if methods else max(len(sources) - 2, 0)

    def _axis(self, source: Source, column: Sequence[Any], order: Mapping[str, Sequence[Any]]) -> Axis:
        name = source.label
        wanted = order.get(name, order.get(label_of(name, self.labels), ()))
        return make_axis(name, column, self.labels, [*wanted, *source.first])

    def _place(self, columns: Sequence[Sequence[Any]]) -> dict[Place, list[Point]]:
        """The points of each place, a place being one index along each axis."""
        at: list[dict[Hashable, int]] = [{mark(v): i for i, v in enumerate(a.values)} for a in self.axes]
        members: dict[Place, list[Point]] = {}
        for point, *values in zip(self.points, *columns):
            members.setdefault(tuple(at[n][mark(v)] for n, v in enumerate(values)), []).append(point)
        return dict(sorted(members.items()))

    # ------------------------------------------------------------------------------------------ reading
    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has, then the number of dependent keys."""
        return (*map(len, self.axes), len(self.dependents))

    def places(self) -> Iterator[Place]:
        """The places that hold points, in the order of the axes."""
        return iter(self._members)

    def members(self, place: Sequence[int]) -> list[Point]:
        """The points of a place; none where the grid has none."""
        return self._members.get(tuple(place), [])

    def values(self, place: Sequence[int], dependent: str) -> list[Any]:
        """What the points of a place hold under `dependent`, one value a point that has it."""
        return [get(point, dependent) for point in self.members(place) if dependent in point]

    def cell(self, place: Sequence[int], dependent: str) -> Cell:
        """The values of a place as a cell with a mean and a spread."""
        return make_cell(self.values(place, dependent))

    def axis(self, name: str | None = None) -> int:
        """The index of the axis of that key or label; without a name, of the compared one (the methods)."""
        if name is None:
            return self._compared
        for index, axis in enumerate(self.axes):
            if name in (axis.name, axis.label):
                return index
        way_out = nearest(name, [axis.label for axis in self.axes])
        raise UsageError(f"no axis {name!r} in this table; {way_out}")

    def label(self, dependent: str) -> str:
        """How a dependent key is shown."""
        return label_of(dependent, self.labels)

    # ------------------------------------------------------------------------------------------ writing
    def frame(self) -> pandas.DataFrame:
        """A tidy DataFrame, one row a place: labels, then means, with std and n where points meet."""
        import pandas

        from .tidy import records

        header, rows = records(self)
        return pandas.DataFrame(rows, columns=header)

    def samples(self) -> pandas.DataFrame:
        """A tidy DataFrame, one row a number, for violins and the like: lists and arrays are taken apart.

        Several dependent keys go side by side; then each point must hold equally many numbers of each.
        """
        import pandas

        from .tidy import samples

        header, rows = samples(self)
        return pandas.DataFrame(rows, columns=header)

    def csv(self) -> str:
        """The rows of `frame()` as comma-separated text, numbers in full."""
        from .tidy import write_csv

        return write_csv(self)

    def text(self, *, decimals: int = 2, spread: bool = True, bold: Bold = None, wide: bool = False) -> str:
        """Aligned plain text.

        bold: "max", "min" or a function, one for all or one each dependent; the best carries a star
        spread: whether places where points meet show a standard deviation after the mean
        wide: the methods side by side, rather than one row a place
        """
        from . import text
        from .layout import sheets

        return text.write(sheets(self, wide, decimals, spread, bold))

    def __str__(self) -> str:
        return self.text()

    def show(
        self,
        file: TextIO | None = None,
        *,
        decimals: int = 2,
        spread: bool = True,
        bold: Bold = None,
        wide: bool = False,
    ) -> None:
        """Print the table, drawn on a terminal, plain elsewhere; the options are those of `text`."""
        from . import text
        from .layout import sheets

        text.show(sheets(self, wide, decimals, spread, bold), file)

    def markdown(self, *, decimals: int = 2, spread: bool = True, bold: Bold = None, wide: bool = False) -> str:
        """A Markdown table, the best values in bold; the options are those of `text`."""
        from . import markdown
        from .layout import sheets

        return markdown.write(sheets(self, wide, decimals, spread, bold))

    def latex(
        self,
        *,
        decimals: int = 2,
        spread: bool = True,
        bold: Bold = None,
        wide: bool = True,
        compare: str | int | None = None,
        fit: bool = False,
    ) -> str:
        r"""A LaTeX tabular (needs booktabs), the best values in bold. Options: those of `text`, and

        wide: the values of the axis `compare` (by default the methods) side by side, the last other axis
        going down, all others making blocks
        fit: scaled to the width of the column (needs graphicx)

        Texts are escaped; `$...$` in a label stays mathematics.
        """
        from . import latex
        from .layout import sheets

        return latex.write(sheets(self, wide, decimals, spread, bold, compare), fit)

    def save(self, stem: str | Path, *, decimals: int = 2, spread: bool = True, bold: Bold = None) -> list[Path]:
        """Write `stem`.csv (numbers in full), `stem`.md and `stem`.tex, making the folder; returns the paths."""
        style: dict[str, Any] = {"decimals": decimals, "spread": spread, "bold": bold}
        texts = {"csv": self.csv(), "md": self.markdown(**style), "tex": self.latex(**style)}
        paths = [Path(f"{stem}.{suffix}") for suffix in texts]
        for path, written in zip(paths, texts.values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(written)
        return paths


def _sources(independent: str | Source | Sequence[str | Source]) -> list[Source]:
    listed: list[Any] = list(independent) if isinstance(independent, (list, tuple)) else [independent]
    return [Key(source) if isinstance(source, str) else source for source in listed]
