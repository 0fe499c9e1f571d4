"""The split violins of the robustness papers: at each noise level the standard method on the left, another on the
right (Büchel, Faber and Muir, ICLR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gridrun.errors import UsageError
from gridrun.figures import PAGE_MM, styled

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_MM = 45.0  # height


@styled
def split_violins(
    frame: pandas.DataFrame,
    x: str,
    y: str,
    hue: str,
    row: str,
    colors: Mapping[str, str],
    standard: str = "Standard",
    hue_order: Sequence[str] = (),
) -> Figure:
    """One row of panels for each value of `row`, one panel for each `hue` but the standard, against the standard.

    frame: one row a measurement; x: the noise level, in the order in which it appears; colors: of every hue. The
    lines in a half are the quartiles of `y`.
    """
    from matplotlib.figure import Figure

    hues = [name for name in dict.fromkeys([*hue_order, *frame[hue]]) if name in set(frame[hue])]
    blocks = {str(name): part for name, part in frame.groupby(row, sort=False)}
    _check_standard(blocks, hue, standard)
    others = {name: [h for h in hues if h != standard and h in set(part[hue])] for name, part in blocks.items()}
    n_columns = max(1, *map(len, others.values()))
    figure = Figure(figsize=(PAGE_MM / 25.4, PANEL_MM * len(blocks) / 25.4), layout="constrained")
    grid = figure.subplots(len(blocks), n_columns, sharey=True, squeeze=False)
    for axes_row, (block, part) in zip(grid, blocks.items()):
        for axes in axes_row[len(others[block]) :]:
            axes.set_visible(False)
        for axes, other in zip(axes_row, others[block]):
            _draw_panel(axes, part, x, y, hue, {name: colors[name] for name in (standard, other)})
            axes.set_title(f"{block}: {other}" if block else other)
        axes_row[0].set_ylabel(y)
    _add_legend(figure, {name: colors[name] for name in (standard, *hues)})
    return figure


def _add_legend(figure: Figure, colors: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=color, label=name) for name, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=1.2)


def _draw_panel(axes: Axes, part: pandas.DataFrame, x: str, y: str, hue: str, colors: Mapping[str, str]) -> None:
    import seaborn

    seaborn.violinplot(
        part[part[hue].isin(colors)],
        x=x,
        y=y,
        hue=hue,
        order=list(dict.fromkeys(part[x])),
        hue_order=list(colors),
        palette=list(colors.values()),
        split=True,
        inner="quartile",
        cut=0,
        density_norm="width",
        saturation=1.0,
        linewidth=0.5,
        legend=False,
        ax=axes,
    )
    for line in axes.lines:  # the quartiles; white shows on every colour
        line.set_color("white")
    axes.set_ylabel("")


def _check_standard(blocks: Mapping[str, pandas.DataFrame], hue: str, standard: str) -> None:
    for block, part in blocks.items():
        if standard not in set(part[hue]):
            found = ", ".join(map(str, dict.fromkeys(part[hue])))
            where = f" for {block}" if block else ""
            raise UsageError(f"split violins set methods against {standard!r}, but{where} there are only {found}")
