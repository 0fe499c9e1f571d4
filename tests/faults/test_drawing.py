"""Figures of rates: what is drawn is what the frame holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gridrun.faults import drawing

ROWS = [
    {"bits": "30", "layer": "conv", "rate": 88.0, "low": 60.0, "high": 97.0, "by": "ours"},
    {"bits": "29", "layer": "conv", "rate": 0.0, "low": 0.0, "high": 4.2, "by": "ours"},
    {"bits": "30", "layer": "fc", "rate": 0.5, "low": 0.02, "high": 3.0, "by": "theirs"},
]
FRAME = pd.DataFrame(ROWS)


def drawn_intervals(axes, is_upright: bool = True) -> list[tuple[float, float, float]]:
    """(place, low, high) of every bar."""
    bars = [segment for container in axes.containers for segment in container[2][0].get_segments()]
    return [(bar[0][0], *bar[:, 1]) if is_upright else (bar[0][1], *bar[:, 0]) for bar in bars]


def test_a_heat_map_holds_each_rate_with_its_interval_and_hatches_what_was_not_measured() -> None:
    axes = drawing.grid_of_panels([1], [1]).axes[0]
    drawing.heat_map(FRAME, "bits", "layer", ["30", "29"], ["conv", "fc"], "Bit", "Layer", axes)
    values = axes.images[0].get_array()
    assert values.filled(np.nan) == pytest.approx(np.array([[88.0, 0.0], [0.5, np.nan]]), nan_ok=True)
    texts = {(text.xy, text.get_text()) for text in axes.texts}
    assert texts == {
        ((0, 0), "88"), ((0, 0), "60–97"), ((1, 0), "0"), ((1, 0), "0–4.2"), ((0, 1), ".5"), ((0, 1), ".02–3"),
    }  # fmt: skip
    assert axes.patch.get_hatch() and [label.get_text() for label in axes.get_yticklabels()] == ["conv", "fc"]
    bar = axes.figure.axes[-1]
    assert bar.get_xlabel() == "Critical rate (%)" and bar.get_xlim() == pytest.approx((0, 100))


def test_the_colour_of_more_is_darker() -> None:
    axes = drawing.grid_of_panels([1], [1]).axes[0]
    drawing.heat_map(FRAME, "bits", "layer", ["30", "29"], ["conv", "fc"], "Bit", "Layer", axes)
    colours = axes.images[0].to_rgba(np.array([[0.0, 0.05, 0.5, 5.0, 50.0, 100.0]]))[0, :, :3]
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) < -0.02).all()


@pytest.mark.parametrize("is_upright", [True, False])
def test_intervals_reach_from_low_to_high_side_by_side(is_upright: bool) -> None:
    axes = drawing.grid_of_panels([1], [1]).axes[0]
    drawing.intervals(FRAME, "bits", "by", ["30", "29"], "Bit", axes, is_upright=is_upright)
    expected = [(-0.16, 60, 97), (0.84, 0, 4.2), (0.16, 0.02, 3)]
    assert np.array(drawn_intervals(axes, is_upright)) == pytest.approx(np.array(expected))
    assert axes.get_legend_handles_labels()[1] == ["ours", "theirs"]
    labels = axes.get_xlabel(), axes.get_ylabel()
    assert labels == (("Bit", "Critical rate (%)") if is_upright else ("Critical rate (%)", "Bit"))
    assert (axes.get_yscale() if is_upright else axes.get_xscale()) == "symlog"
    first, last = axes.get_xlim() if is_upright else axes.get_ylim()
    assert (first < last) == is_upright  # lying, the first is on top


def test_a_name_as_place_and_as_colour_stands_on_its_tick() -> None:
    axes = drawing.grid_of_panels([1], [1]).axes[0]
    drawing.intervals(FRAME, "by", "by", ["ours", "theirs"], "", axes, hue_order=["theirs", "ours"], linear_to=None)
    assert sorted({place for place, *_ in drawn_intervals(axes)}) == [0, 1]
    assert axes.get_yscale() == "linear" and axes.get_ylim()[1] > 97


def test_bars_of_verdicts_add_up_and_name_the_critical_share() -> None:
    frame = pd.DataFrame([{"who": "here", "masked": 40.0, "non_critical": 58.5, "critical": 1.5}])
    axes = drawing.grid_of_panels([1], [1]).axes[0]
    drawing.verdict_bars(frame, "who", axes)
    spans = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.array(spans) == pytest.approx(np.array([(0, 40), (40, 58.5), (98.5, 1.5)]))
    assert [text.get_text() for text in axes.texts] == ["here", "1.50"]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["Masked", "Non-critical", "Critical"]


def test_panels_are_lettered_row_by_row_in_millimetres() -> None:
    figure = drawing.grid_of_panels([2, 1], [1, 1], width_mm=100, height_mm=50)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list("abcd")
    assert figure.get_size_inches() * 25.4 == pytest.approx([100, 50])
