"""Fake clusters whose commands are on PATH, for any test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import cluster as fake


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake.other_tools(tmp_path_factory.mktemp("tools") / "bin")


@pytest.fixture
def lsf(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Cluster]:
    """A fake LSF whose commands are on PATH."""
    with fake.running(tmp_path / "lsf", "lsf", tools, monkeypatch) as running:
        yield running


@pytest.fixture
def slurm(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Cluster]:
    """A fake Slurm whose commands are on PATH."""
    with fake.running(tmp_path / "slurm", "slurm", tools, monkeypatch) as running:
        yield running
