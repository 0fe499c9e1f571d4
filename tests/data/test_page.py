"""docs/data.md says of each data set what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridrun import data
from gridrun.data.download import FILES

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
CELLS = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
ROWS = {cells[0]: cells[1:] for cells in CELLS if len(cells) == 5}


@pytest.mark.parametrize("name", data.KNOWN)
def test_its_row_has_its_shape_and_classes(name: str) -> None:
    about = data.KNOWN[name]
    shape, n_classes, _, words = ROWS[name]
    assert shape == " x ".join(str(side) for side in about.sample_shape) and n_classes == str(about.n_classes)
    for word in ("synthetic", "offline"):
        assert (word in words) == (word in about.source)


@pytest.mark.parametrize("name", ["digits", "synthetic_ecg"])
def test_its_row_has_its_numbers(name: str) -> None:
    splits = data.load(name)
    assert ROWS[name][2] == f"{len(splits.train[1]):,} and {len(splits.test[1]):,}"


def test_what_can_be_fetched_is_named() -> None:
    named = PAGE[PAGE.index('download("fashion_mnist"') :].splitlines()[0]
    assert all(name in named for name in FILES)
