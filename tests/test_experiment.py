"""Finding experiments, and their grids under other settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridrun import study
from gridrun.errors import UsageError
from gridrun.experiment import find_root, load, names, overridden, override

FUNCTIONS = """
def train_grid():
    return [{'seed': 0}, {'seed': 1}]

def visualize():
    SEEN.append(train_grid())
"""
CLASS = """
class Base:
    @staticmethod
    def train_grid():
        return [{'seed': 0}, {'seed': 1}]
    def visualize(self):
        SEEN.append(self.train_grid())

class page(Base):
    KIND
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "experiments").mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(study, "_chosen", [])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "experiments"]:
        del sys.modules[name]


def write(root: Path, name: str, text: str) -> None:
    (root / "experiments" / f"{name}.py").write_text("SEEN = []\n" + text)


def test_the_root_is_the_nearest_folder_above_with_experiments(root: Path) -> None:
    deep = root / "notes" / "today"
    deep.mkdir(parents=True)
    assert find_root(deep) == find_root(root / "experiments") == root.resolve()


def test_pages_and_folders_are_experiments_and_helpers_are_not(root: Path) -> None:
    write(root, "b_page", FUNCTIONS)
    write(root, "_helper", "")
    write(root, "__init__", "")
    (root / "experiments" / "a_folder").mkdir()
    (root / "experiments" / "a_folder" / "__init__.py").touch()
    assert names(root) == ["a_folder", "b_page"]


@pytest.mark.parametrize(
    "page",
    [
        FUNCTIONS,
        CLASS.replace("KIND", "pass"),
        CLASS.replace("KIND", "def train_grid(self): return [{'seed': 0}, {'seed': 1}]"),
        CLASS.replace("KIND", "train_grid = classmethod(lambda cls: [{'seed': 0}, {'seed': 1}])"),
    ],
    ids=["functions", "inherited", "method", "class method"],
)
def test_settings_reach_the_grid_and_the_figure_and_then_are_gone(root: Path, page: str) -> None:
    write(root, "page", page)
    experiment = load(root, "page")
    before = dict(vars(experiment.holder))
    with overridden(experiment, {"seed": 7}):
        assert experiment.train_grid() == [{"seed": 7}]
        experiment.visualize()
    assert sys.modules["experiments.page"].SEEN == [[{"seed": 7}]]
    assert experiment.train_grid() == [{"seed": 0}, {"seed": 1}]
    assert dict(vars(experiment.holder)) == before


def test_settings_are_gone_after_an_error_too(root: Path) -> None:
    write(root, "page", FUNCTIONS)
    experiment = load(root, "page")
    with pytest.raises(ZeroDivisionError), overridden(experiment, {"seed": 7}):
        raise ZeroDivisionError
    assert experiment.train_grid() == [{"seed": 0}, {"seed": 1}]


def test_a_key_that_some_points_have_is_set_on_all_and_one_that_none_has_is_refused() -> None:
    grid = [{"lr": 0.1}, {"lr": 0.2, "gamma": 1}]
    assert override(grid, {"gamma": 2}) == [{"lr": 0.1, "gamma": 2}, {"lr": 0.2, "gamma": 2}]
    with pytest.raises(UsageError, match="did you mean 'gamma'"):
        override(grid, {"gama": 2})
    assert override([], {"anything": 1}) == []


def test_another_package_called_experiments_is_not_taken_for_the_study(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "experiments").mkdir(parents=True)
    (other / "experiments" / "page.py").write_text("SEEN = []\n" + FUNCTIONS)
    write(root, "page", FUNCTIONS)
    assert load(other, "page")
    with pytest.raises(UsageError, match="outside this study"):
        load(root, "page")
