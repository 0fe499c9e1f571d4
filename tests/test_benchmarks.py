"""The benchmarks measure what they say: hits are hits, peers are never made up. Nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fresh, tools
from benchmarks.report import page
from benchmarks.result import Result
from benchmarks.row import Row, under
from benchmarks.rows import ROWS, points


@pytest.mark.parametrize("tool", tools.MODULES)
def test_every_tool_keeps_results(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not tools.is_installed(tool):
        pytest.skip(f"{tool} is not installed")
    many, grid = tools.load(tool).keep(points.score, tmp_path), points.grid(100)[:5]
    assert many(grid[:3]) == [0.0, 0.01, 0.02]
    monkeypatch.setenv("BENCHMARK_HITS_ONLY", "1")
    assert many(grid[:3]) == [0.0, 0.01, 0.02]
    with pytest.raises(RuntimeError, match="computed again"):
        many(grid[3:])


def test_a_hit_that_computes_is_a_failure(tmp_path: Path) -> None:
    row = ROWS["one_call"]
    assert "was computed again" in fresh.measure("measure", row, "packed log", tmp_path)["failed"]
    assert "failed" not in fresh.measure("prepare", row, "packed log", tmp_path)
    measured = fresh.measure("measure", row, "packed log", tmp_path)
    assert measured["value"] > 0 and measured["peak_mb"] > 5
    assert (tmp_path / "log").stat().st_size == 5_000 * (16 + 8)


def test_the_page_by_hand() -> None:
    row = Row("speed", "a thing", "µs", "under 2 µs", under(2), lambda tool, folder: {})
    measured = {
        "gridrun": [{"value": 4.0, "cpu": 3.0}, {"value": 5.0, "cpu": 3.0}, {"value": 6.0, "cpu": 3.0}],
        "joblib": [{"value": 40.0}, {"value": 100.0}, {"value": 120.0}],
    }
    failed = {"diskcache": "it broke", "cachier": "not installed"}
    text = page([Result(row, measured, {"joblib": 12}, failed)], {"date": "today"}, 3)
    cells = "**5.0 µs** (best 4.0 µs, cpu 3.0 µs) | **no** | – | 20x (100 µs) | failed | – | absent |"
    assert f"| a thing | under 2 µs | {cells}\n" in text
    assert "- a thing; diskcache: failed: it broke.\n" in text


def test_a_target_is_met_by_medians_or_says_how() -> None:
    row = Row("speed", "a thing", "µs", "under 2 µs", under(2), lambda tool, folder: {})
    rounds = {
        "yes": [(1.0, 1.0), (1.5, 1.0), (9.0, 9.0)],
        "in the best round": [(1.0, 1.0), (3.0, 3.0), (3.0, 3.0)],
        "by processor time": [(3.0, 1.0), (3.0, 1.5), (3.0, 9.0)],
        "**no**": [(3.0, 2.5), (3.0, 2.5), (3.0, 2.5)],
    }
    for verdict, values in rounds.items():
        ours = [{"value": value, "cpu": cpu} for value, cpu in values]
        assert Result(row, {"gridrun": ours}).verdict == verdict
