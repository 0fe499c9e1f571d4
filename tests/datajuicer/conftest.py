"""A study as it was written for datajuicer, copied for each test with nothing but its imports changed."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

collect_ignore = ["old_study"]  # it imports datajuicer, as experiments of that time do
SOURCE = Path(__file__).parent / "old_study"


def moved(source: str) -> str:
    """Source code with `datajuicer` changed to `gridrun.datajuicer` in its imports.

    >>> moved("from datajuicer.table import Table")
    'from gridrun.datajuicer.table import Table'
    """
    return re.sub(r"^(\s*(?:from|import) )datajuicer\b", r"\1gridrun.datajuicer", source, flags=re.MULTILINE)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a fresh copy, which is also the current one."""
    folder = tmp_path / "study"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for page in folder.glob("*.py"):
        page.write_text(moved(page.read_text()))
    (folder / "Resources").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    names = {page.stem for page in folder.glob("*.py")}
    yield folder
    for name in names & set(sys.modules):
        del sys.modules[name]


@pytest.fixture
def load(study: Path) -> Callable[[str], ModuleType]:
    """Import a module of the study."""
    importlib.invalidate_caches()
    return importlib.import_module
