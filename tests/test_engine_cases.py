"""The engine's cases, one test each: worked examples, and what the founding engine got wrong."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gridrun

FOLDER = Path(os.environ.get("GRIDRUN_CASES") or Path(__file__).parent / "cases")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_cases", path)
    assert spec and spec.loader, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


engine_cases = load(FOLDER / "engine_cases.py")


@pytest.mark.parametrize("case", engine_cases.CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where a case makes its store
    passed, what = engine_cases.run_case(gridrun, case)
    assert passed, f"{what} ({case['note']})"


def test_no_case_is_missing() -> None:
    assert len(engine_cases.CASES) >= 59


def test_a_case_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wrong = {"name": "wrong", "fn": lambda api, h: 1, "expect": 2, "raises": None}
    assert engine_cases.run_case(gridrun, wrong) == (False, "got 1")
