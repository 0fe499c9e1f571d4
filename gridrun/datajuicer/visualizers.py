"""Visualizers: functions of a table, called with a grid. `import *` brings all that experiments use."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gridrun.errors import UsageError
from gridrun.table.cells import make_cell

from .styles import METHOD_COLORS as METHOD_COLORS
from .styles import METHOD_LINESTYLE as METHOD_LINESTYLE
from .styles import METHOD_LINEWIDTH as METHOD_LINEWIDTH
from .table import Order, Table
from .utils import cachable as cachable
from .utils import configure as configure
from .utils import format_template as format_template
from .utils import get as get
from .utils import make_unique as make_unique
from .utils import query as query
from .utils import reduce_keys as reduce_keys
from .utils import run as run
from .utils import split as split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = Callable[..., Any]


def visualizer(dim: int | None = None) -> Callable[[Drawing], Drawing]:
    """Turn f(table, ...) into f(grid, independent_keys, dependent_keys, label_dict={}, order=None, ...).

    dim: how many axes the table has, the dependent keys counted.
    """

    def decorate(drawing: Drawing) -> Drawing:
        @functools.wraps(drawing)
        def draw(
            grid: Any,
            independent_keys: Sequence[Any],
            dependent_keys: Sequence[str],
            label_dict: Mapping[Any, str] | None = None,
            order: Order | None = None,
            **options: Any,
        ) -> Any:
            return drawing(Table(grid, independent_keys, dependent_keys, label_dict, dim, order), **options)

        del draw.__wrapped__  # its own signature is the one to show
        return draw

    return decorate


@visualizer(dim=4)
def latex(table: Table, decimals: int = 2, bold_order: Sequence[Any] | None = None) -> str:
    """The LaTeX of a table: blocks, column groups, rows and dependent keys are its axes.

    bold_order: for each dependent key which of a row's values is set in bold: max, min, any function or None.
    """
    return table.tidy.latex(decimals=decimals, bold=bold_order, compare=1, fit=True)


@visualizer(dim=4)
def split_violins(table: Table, standard: str = "Standard") -> Figure:
    """Every method against the standard one, at each noise level: the axes are blocks, methods and levels."""
    import pandas

    from . import violins

    blocks, methods, levels, n_dependents = table.shape()
    if n_dependents != 1:
        raise UsageError(f"split violins show one dependent key, not {', '.join(table.dependent_keys)}")
    names = ["row", "method", table.get_label(2), table.get_label(3, 0)]
    rows = [
        (table.get_label(0, block), table.get_label(1, method), table.get_label(2, level), number)
        for block, method, level in itertools.product(range(blocks), range(methods), range(levels))
        for number in make_cell(table.get_val(block, method, level, 0) or ()).numbers
    ]
    frame = pandas.DataFrame(rows, columns=names)
    hues = [table.get_label(1, method) for method in range(methods)]
    return violins.split_violins(frame, names[2], names[3], "method", "row", METHOD_COLORS, standard, hues)
