"""Figures fit for a paper, drawn from tidy DataFrames (one row a measurement).

Sizes are in millimetres, type is 7 points and stays text in PDFs, colours are those of Okabe and Ito (2008),
distinct for the colour-blind. Each function draws into `axes`, or into a new figure, and returns the figure;
nothing goes through pyplot's global state. `save` writes it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .stats import INTERVALS

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_MM, PAGE_MM = 86.0, 178.0  # widths of one and of two columns
PALETTE = ["#595959", "#E69F00", "#56B4E9", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
}
F = TypeVar("F", bound=Callable[..., Any])


def styled(function: F) -> F:
    """Run `function` under STYLE, and put matplotlib's settings back afterwards."""

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return inside  # type: ignore[return-value]


def colour_of(name: Hashable, order: Sequence[Hashable]) -> str:
    """The colour of a name, by its place in `order`: the same in every panel, whatever else is drawn there.

    >>> colour_of("b", ["a", "b"]) == colour_of("b", ["a", "b", "c"]) == PALETTE[1]
    True
    """
    return PALETTE[list(order).index(name) % len(PALETTE)]


def marker_of(name: Hashable, order: Sequence[Hashable]) -> str:
    """The marker of a name, likewise."""
    return MARKERS[list(order).index(name) % len(MARKERS)]


@styled
def panels(width_ratios: Sequence[float] = (1.0,), width_mm: float = PAGE_MM, height_mm: float = 60.0) -> Figure:
    """An empty figure with axes side by side, lettered a, b, ... where there are several."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")
    rows = figure.subplots(1, len(width_ratios), width_ratios=list(width_ratios), squeeze=False)
    for letter, axes in zip("abcdefgh", rows[0]):
        if len(width_ratios) > 1:
            axes.set_title(letter, loc="left", fontweight="bold", fontsize=8)
    return figure


@styled
def violins(
    frame: pandas.DataFrame,
    x: str,
    y: str,
    hue: str,
    x_label: str | None = None,
    y_label: str | None = None,
    hue_order: Sequence[Hashable] | None = None,
    axes: Axes | None = None,
    min_values: int = 8,
) -> Figure:
    """The distribution of `y` at each `x`, one violin for each `hue`; groups of under `min_values` rows are
    dots.

    A violin ends at its smallest and largest value; the bar spans the quartiles, the white dot is the median.
    """
    axes = axes if axes is not None else panels().axes[0]
    hues, groups = _hues(frame, hue, hue_order), sorted(frame[x].unique())
    slot = 0.86 / len(hues)
    for j, name in enumerate(hues):
        axes.plot([], [], color=colour_of(name, hue_order or hues), linewidth=4, label=str(name))
        for i, group in enumerate(groups):
            values = frame.loc[(frame[hue] == name) & (frame[x] == group), y].to_numpy(float)
            place = i + slot * (j - (len(hues) - 1) / 2)
            draw = _violin if len(values) >= min_values and np.ptp(values) > 0 else _dots
            draw(axes, values, place, 0.92 * slot, colour_of(name, hue_order or hues))
    axes.set_xticks(range(len(groups)), [f"{group:g}" for group in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    for boundary in range(1, len(groups)):
        axes.axvline(boundary - 0.5, color="0.9", linewidth=0.6, zorder=0)
    return _finish(axes, x_label or x, y_label or y)


def _violin(axes: Axes, values: np.ndarray, place: float, width: float, colour: str) -> None:
    drawn: Any = axes.violinplot(values, [place], widths=width, showextrema=False, points=200)
    (body,) = drawn["bodies"]
    body.set(facecolor=colour, edgecolor="none", alpha=1)
    low, middle, high = np.percentile(values, [25, 50, 75])
    axes.vlines(place, values.min(), values.max(), color=colour, linewidth=0.5)
    axes.vlines(place, low, high, color="black", linewidth=1.1)
    axes.plot(place, middle, "o", color="white", markersize=1.6, markeredgewidth=0, zorder=3)


def _dots(axes: Axes, values: np.ndarray, place: float, width: float, colour: str) -> None:
    spread = np.linspace(-width / 4, width / 4, len(values)) if len(values) > 1 else [0.0]
    axes.plot(
        place + np.asarray(spread[: len(values)]),
        values,
        "o",
        color=colour,
        markersize=2.2,
        markeredgewidth=0,
    )


@styled
def lines(
    frame: pandas.DataFrame,
    x: str,
    y: str,
    hue: str,
    x_label: str | None = None,
    y_label: str | None = None,
    hue_order: Sequence[Hashable] | None = None,
    axes: Axes | None = None,
    interval: str | None = "percentile",
    level: float = 0.9,
) -> Figure:
    """The mean of `y` against `x`, one line for each `hue`, in a band: the `level` `interval` (see
    stats.INTERVALS).

    "percentile" shows the spread of the values, "t" and "bootstrap" the uncertainty of their mean; None draws
    no band.
    """
    axes = axes if axes is not None else panels(width_mm=COLUMN_MM).axes[0]
    hues = _hues(frame, hue, hue_order)
    for name in hues:
        grouped = frame.loc[frame[hue] == name].groupby(x)[y]
        means, colour = grouped.mean(), colour_of(name, hue_order or hues)
        if interval is not None:
            bounds = np.array([_bounds(values.to_numpy(float), interval, level) for _, values in grouped])
            axes.fill_between(means.index, bounds[:, 0], bounds[:, 1], color=colour, alpha=0.18, linewidth=0)
        marker = marker_of(name, hue_order or hues)
        axes.plot(means.index, means, color=colour, marker=marker, markeredgewidth=0, label=str(name))
    return _finish(axes, x_label or x, y_label or y)


def _bounds(values: np.ndarray, interval: str, level: float) -> tuple[float, float]:
    if interval not in INTERVALS:
        raise ValueError(f"no interval {interval!r}; there are {', '.join(INTERVALS)}")
    return INTERVALS[interval](values, level) if len(values) > 1 else (values[0], values[0])


def _hues(frame: pandas.DataFrame, hue: str, order: Sequence[Hashable] | None) -> list[Hashable]:
    present = list(dict.fromkeys(frame[hue]))
    if not present:
        raise ValueError(f"nothing to draw: the frame has no rows (columns {', '.join(map(str, frame.columns))})")
    return [name for name in order if name in present] if order is not None else present


def _finish(axes: Axes, x_label: str, y_label: str) -> Figure:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    return axes.figure  # type: ignore[return-value]


@styled
def legend(figure: Figure, source: int = 0, n_columns: int | None = None) -> Figure:
    """One legend above all panels, of what the panel `source` shows: in as few rows as fit the figure's width, or in
    `n_columns`."""
    handles, labels = figure.axes[source].get_legend_handles_labels()
    for n_rows in range(1, len(labels) + 1):
        columns = n_columns or math.ceil(len(labels) / n_rows)
        made = figure.legend(handles, labels, loc="outside upper center", ncols=columns, handlelength=1.2)
        if n_columns or columns == 1 or made.get_window_extent().width <= figure.bbox.width:
            break
        made.remove()
    return figure


@styled
def save(figure: Figure, stem: str | Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write `stem`.png, `stem`.pdf, ... at 300 dpi, making the folder; returns the paths."""
    paths = [Path(f"{stem}.{suffix}") for suffix in formats]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=300)
    return paths
