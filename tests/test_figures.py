"""Figures: what is drawn is what the frame holds, and matplotlib's settings are given back."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from gridrun import figures


def frame(n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"level": level, "method": method, "accuracy": 90 - 50 * level + rng.normal()}
        for level in (0.0, 0.3, 0.5)
        for method in ("standard", "beta")
        for _ in range(3 if level == 0 else n)
    ]
    return pd.DataFrame(rows)


def test_violins_end_at_the_extreme_values_and_few_values_are_dots() -> None:
    data = frame()
    axes = figures.violins(data, "level", "accuracy", "method").axes[0]
    groups = data[data.level > 0].groupby(["method", "level"], sort=False).accuracy
    bodies = [c.get_paths()[0].vertices[:, 1] for c in axes.collections if c.get_paths()[0].vertices.shape[0] > 50]
    drawn = sorted((float(y.min()), float(y.max())) for y in bodies)
    assert np.allclose(drawn, sorted(zip(groups.min(), groups.max(), strict=True)))
    dots = [line for line in axes.lines if len(line.get_ydata()) == 3]
    at_zero = data[data.level == 0].groupby("method", sort=False).accuracy.apply(list)
    assert [list(line.get_ydata()) for line in dots] == list(at_zero)


def test_violins_name_their_axes_and_groups() -> None:
    figure = figures.violins(frame(), "level", "accuracy", "method", "Mismatch level", "Test accuracy (%)")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Mismatch level", "Test accuracy (%)")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.3", "0.5"]
    assert axes.get_legend_handles_labels()[1] == ["standard", "beta"]


def test_lines_are_the_means_in_their_percentiles() -> None:
    data = frame()
    axes = figures.lines(data, "level", "accuracy", "method", hue_order=["beta", "standard"], level=0.8).axes[0]
    beta = data[data.method == "beta"].groupby("level").accuracy
    assert axes.lines[0].get_label() == "beta"
    assert list(axes.lines[0].get_ydata()) == pytest.approx(list(beta.mean()))
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((beta.quantile(0.1).min(), beta.quantile(0.9).max()))


@pytest.mark.parametrize("interval", ["t", "bootstrap", None])
def test_other_intervals(interval: str | None) -> None:
    axes = figures.lines(frame(), "level", "accuracy", "method", interval=interval).axes[0]
    assert len(axes.collections) == (0 if interval is None else 2)


def test_a_misspelt_interval_and_an_empty_frame_say_so() -> None:
    with pytest.raises(ValueError, match="'percentil'; there are percentile, t, bootstrap"):
        figures.lines(frame(), "level", "accuracy", "method", interval="percentil")
    with pytest.raises(ValueError, match="no rows"):
        figures.violins(frame().iloc[:0], "level", "accuracy", "method")


def test_a_legend_has_as_few_rows_as_fit_the_width() -> None:
    def rows_of(n_labels: int) -> tuple[int, bool]:
        figure = figures.panels(width_mm=100, height_mm=40)
        for i in range(n_labels):
            figure.axes[0].plot([0], [0], label=f"a method by the number {i}")
        (made,) = figures.legend(figure).legends
        figure.draw_without_rendering()
        return -(-n_labels // made._ncols), made.get_window_extent().width <= figure.bbox.width

    assert [rows_of(n) for n in (1, 2, 7)] == [(1, True), (1, True), (4, True)]


def test_saved_files_have_the_size_in_millimetres_and_text_as_text(tmp_path: Path) -> None:
    figure = figures.panels([2, 1], width_mm=100, height_mm=40)
    figures.violins(frame(), "level", "accuracy", "method", axes=figure.axes[0])
    figures.lines(frame(), "level", "accuracy", "method", axes=figure.axes[1])
    png, pdf, svg = figures.save(figures.legend(figure), tmp_path / "new" / "figure", ("png", "pdf", "svg"))
    height, width = matplotlib.image.imread(png).shape[:2]
    assert (width, height) == pytest.approx((100 / 25.4 * 300, 40 / 25.4 * 300), abs=1)
    box = re.search(rb"/MediaBox \[ ?([\d. ]+)\]", pdf.read_bytes())
    assert [float(x) for x in box.group(1).split()] == pytest.approx([0, 0, 283.46, 113.39], abs=0.1)
    assert b"/FontFile2" in pdf.read_bytes()  # type 42: an editor finds letters, not outlines
    assert "standard</text>" in svg.read_text()


def test_matplotlibs_settings_are_given_back() -> None:
    before = dict(matplotlib.rcParams)
    figures.violins(frame(), "level", "accuracy", "method")
    assert dict(matplotlib.rcParams) == before


def test_colours_differ_in_lightness_or_hue_for_the_colour_blind() -> None:
    """Each pair stays apart when red and green cones are merged (deuteranopia, Vienot 1999)."""
    merge = np.array([[0.2934, 0.7066, 0.0], [0.2934, 0.7066, 0.0], [-0.0211, 0.0211, 1.0]])
    linear = [np.array(matplotlib.colors.to_rgb(colour)) ** 2.2 for colour in figures.PALETTE[:7]]
    seen = [(merge @ colour).clip(0, 1) for colour in linear]
    gaps = [np.linalg.norm(a ** (1 / 2.2) - b ** (1 / 2.2)) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(gaps) > 0.2


def test_a_name_keeps_its_colour_where_others_are_missing() -> None:
    data = pd.DataFrame({"x": [0, 1, 0, 1], "y": [1.0, 2.0, 3.0, 4.0], "of": ["a", "a", "c", "c"]})
    order = ["a", "b", "c"]
    (line,) = figures.lines(data[data["of"] == "c"], "x", "y", "of", hue_order=order).axes[0].lines
    assert line.get_color() == figures.colour_of("c", order) == figures.PALETTE[2]
    assert line.get_marker() == figures.marker_of("c", order)
    assert figures.lines(data, "x", "y", "of", hue_order=order).axes[0].lines[1].get_color() == line.get_color()
