"""Figures of critical rates with their intervals: by layer and bit, by either, and shares of the verdicts.

Frames are tidy, one row a rate, in percent: see `percent`. Style, colours and widths are those of gridrun.figures.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import MARKERS, PAGE_MM, PALETTE, styled

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .intervals import Rate

COLOURS = "Blues"  # one hue, darker for more: safe for the colour-blind, and in grey (Harrower and Brewer, 2003)
LINEAR_TO = 0.1  # percent: linear below, logarithmic above
TICKS = (0, 0.1, 1, 10, 100)
VERDICTS = {"masked": "#D9D9D9", "non_critical": "#56B4E9", "critical": "#D55E00"}


def percent(rates: Mapping[Any, Rate], *names: str, **more: Any) -> pandas.DataFrame:
    """Rates as a frame in percent: columns `names` (the parts of each key), rate, low, high, n_faults, and `more`.

    >>> from gridrun.faults.intervals import Rate
    >>> percent({("fc", "30"): Rate(0.5, 0.4, 0.6, 80)}, "layer", "bits", on="CNN").to_dict("list")
    {'layer': ['fc'], 'bits': ['30'], 'rate': [50.0], 'low': [40.0], 'high': [60.0], 'n_faults': [80], 'on': ['CNN']}
    """
    import pandas

    keys = [key if isinstance(key, tuple) else (key,) for key in rates]
    numbers = [(100 * r.rate, 100 * r.low, 100 * r.high, r.n_faults) for r in rates.values()]
    columns = [*names, "rate", "low", "high", "n_faults"]
    frame = pandas.DataFrame([(*key, *row) for key, row in zip(keys, numbers)], columns=columns)
    return frame.assign(**more)


def in_percent(value: float) -> str:
    """A percentage in as few digits as tell.

    >>> [in_percent(value) for value in (0.0, 0.004, 0.0512, 3.14, 99.7)]
    ['0', '<.01', '.05', '3.1', '100']
    """
    if value and value < 0.01:
        return "<.01"
    digits = 2 if value < 1 else 1 if value < 10 else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".").removeprefix("0") or "0" if digits else text


@styled
def grid_of_panels(
    widths: Sequence[float], heights: Sequence[float], width_mm: float = PAGE_MM, height_mm: float = 120.0
) -> Figure:
    """An empty figure with panels in rows and columns, lettered a, b, ... row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")
    panels = figure.subplots(len(heights), len(widths), width_ratios=widths, height_ratios=heights, squeeze=False)
    for letter, axes in zip("abcdefghijkl", panels.flat):
        axes.set_title(letter, loc="left", fontweight="bold", fontsize=8)
    return figure


@styled
def heat_map(
    frame: pandas.DataFrame,
    x: str,
    y: str,
    x_order: Sequence[Hashable],
    y_order: Sequence[Hashable],
    x_label: str,
    y_label: str,
    axes: Axes,
    colour_label: str = "Critical rate (%)",
) -> Figure:
    """The rate at each place as a colour and a number, over its interval in small type; hatched where there is none.

    The colour is linear in the rate up to 0.1 % and logarithmic above.
    """
    from matplotlib.colors import SymLogNorm

    values = np.full((len(y_order), len(x_order)), np.nan)
    norm = SymLogNorm(LINEAR_TO, linscale=0.5, vmin=0, vmax=100)
    for row in frame.to_dict("records"):
        i, j = list(y_order).index(row[y]), list(x_order).index(row[x])
        values[i, j] = row["rate"]
        colour = "white" if norm(row["rate"]) > 0.55 else "black"
        interval = f"{in_percent(row['low'])}–{in_percent(row['high'])}"
        axes.annotate(in_percent(row["rate"]), (j, i), (0, 0.3), textcoords="offset points", ha="center", va="bottom",
                      fontsize=5.5, color=colour)  # fmt: skip
        axes.annotate(interval, (j, i), (0, -0.3), textcoords="offset points", ha="center", va="top", fontsize=4,
                      color=colour)  # fmt: skip
    axes.set_facecolor("0.97")
    axes.patch.set(hatch="////", edgecolor="0.8")
    image = axes.imshow(values, cmap=COLOURS, norm=norm, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(x_order)), [str(name) for name in x_order])
    axes.set_yticks(range(len(y_order)), [str(name) for name in y_order])
    axes.set_xticks(np.arange(len(x_order) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(y_order) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, location="top", shrink=0.5, aspect=40, pad=0.02, ticks=TICKS)
    bar.ax.set_xticklabels([f"{tick:g}" for tick in TICKS])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.set_label(colour_label)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return axes.figure  # type: ignore[return-value]


@styled
def intervals(
    frame: pandas.DataFrame,
    x: str,
    hue: str | None,
    order: Sequence[Hashable],
    label: str,
    axes: Axes,
    rate_label: str = "Critical rate (%)",
    hue_order: Sequence[Hashable] | None = None,
    is_upright: bool = True,
    linear_to: float | None = LINEAR_TO,
) -> Figure:
    """Rates as marks in their intervals, side by side for each `hue`, at each `x` in `order`.

    is_upright: the rate is the vertical axis; False lays it along the horizontal one, the first of `order` on top.
    linear_to: the rate's axis is linear up to this, logarithmic above; None is linear.
    """
    hues = list(hue_order or dict.fromkeys(frame[hue])) if hue else [None]
    for j, name in enumerate(hues):
        rows = frame if hue is None else frame[frame[hue] == name]
        if rows.empty:
            continue
        places = np.array([list(order).index(value) for value in rows[x]], float)
        if hue != x:
            places += 0.64 / len(hues) * (j - (len(hues) - 1) / 2)
        spread = np.clip([rows["rate"] - rows["low"], rows["high"] - rows["rate"]], 0, None)
        style: dict[str, Any] = {"fmt": MARKERS[j], "color": PALETTE[j], "markersize": 2.8, "markeredgewidth": 0,
                                 "elinewidth": 0.8, "label": name}  # fmt: skip
        if is_upright:
            axes.errorbar(places, rows["rate"], yerr=spread, **style)
        else:
            axes.errorbar(rows["rate"], places, xerr=spread, **style)
    long, short = (axes.yaxis, axes.xaxis) if is_upright else (axes.xaxis, axes.yaxis)
    short.set_ticks(range(len(order)), [str(value) for value in order])
    short.set_tick_params(labelsize=5.5 if is_upright and len(order) > 10 else 6.5)
    (axes.set_xlim if is_upright else axes.set_ylim)(*((-0.6, len(order) - 0.4)[:: 1 if is_upright else -1]))
    (axes.set_xlabel if is_upright else axes.set_ylabel)(label)
    (axes.set_ylabel if is_upright else axes.set_xlabel)(rate_label)
    _rate_axis(axes, long, is_upright, linear_to, float(frame["high"].max()))
    axes.grid(axis="y" if is_upright else "x", color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    return axes.figure  # type: ignore[return-value]


def _rate_axis(axes: Axes, axis: Any, is_upright: bool, linear_to: float | None, highest: float) -> None:
    """Percent from 0 up, with plain numbers at the ticks."""
    limits = axes.set_ylim if is_upright else axes.set_xlim
    if linear_to is None:
        limits(-0.02 * highest, 1.05 * highest)
        return
    (axes.set_yscale if is_upright else axes.set_xscale)("symlog", linthresh=linear_to, linscale=0.5)
    limits(-0.02, 100)
    axis.set_ticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axis.set_ticks([], minor=True)


@styled
def verdict_bars(frame: pandas.DataFrame, name: str, axes: Axes, label: str = "Share of injections (%)") -> Figure:
    """One bar a row, from top to bottom: masked, non-critical and critical injections, which add up to 100 %.

    The critical share is written out.
    """
    left = np.zeros(len(frame))
    places = np.arange(len(frame))
    for verdict, colour in VERDICTS.items():
        shares = frame[verdict].to_numpy(float)
        text = verdict.replace("_", "-").capitalize()
        axes.barh(places, shares, left=left, color=colour, height=0.72, label=text)
        left += shares
    for place, row in enumerate(frame.to_dict("records")):
        axes.text(1, place, str(row[name]), va="center", fontsize=5.5)
        axes.text(101, place, f"{row['critical']:.2f}", va="center", fontsize=5.5, color=VERDICTS["critical"])
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(label)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1.1, 1), ncols=3, handlelength=0.8, columnspacing=0.8, borderpad=0)
    return axes.figure  # type: ignore[return-value]
