"""The figure of docs/fault_statistics.md: coverage against images a fault. `python -m benchmarks.fault_statistics`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gridrun.faults.coverage import covered, intervals_of
from gridrun.faults.population import resembling_published
from gridrun.figures import COLUMN_MM, legend, lines, panels, save

IMAGES = (1, 3, 10, 30, 100, 1000)
NAMES = {"wilson": "clusters (Wilson)", "pooled": "pooled pairs"}


def table(n_campaigns: int = 1000) -> pd.DataFrame:
    """The share of 99 % intervals that hold the rate, by method and images a fault, 2,000 faults each."""
    population = resembling_published()
    rows = []
    for n_images in IMAGES:
        found = intervals_of(population, 2000, n_images, n_campaigns, seed=0)
        rows += [
            {"images": n_images, "method": label, "coverage": 100 * covered(found[name], population.rate)}
            for name, label in NAMES.items()
        ]
    return pd.DataFrame(rows)


def main() -> None:
    figure = panels(width_mm=COLUMN_MM)
    axes = figure.axes[0]
    lines(table(), "images", "coverage", "method", "images a fault", "coverage (%)", axes=axes, interval=None)
    axes.set_xscale("log")
    axes.axhline(99, color="0.6", linewidth=0.6, linestyle="--")
    save(legend(figure), Path(__file__).parents[1] / "docs" / "fault_statistics", ["png"])


if __name__ == "__main__":
    main()
