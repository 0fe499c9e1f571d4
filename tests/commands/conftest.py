"""A study that can be sent to a fake cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import cluster as fake
from tiny_study import PAGE, TinyStudy

GATED = PAGE.replace(
    "    if point",
    """    print(f"measuring level={point['level']} seed={point['seed']}", flush=True)
    while point["level"] == 0.2 and not (STUDY / "go").exists():
        __import__("time").sleep(0.05)
    if point""",
    1,
)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake.other_tools(tmp_path_factory.mktemp("tools") / "bin")


@pytest.fixture
def lsf(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Cluster]:
    """A fake LSF whose commands are on PATH."""
    with fake.running(tmp_path / "lsf", "lsf", tools, monkeypatch) as running:
        yield running


@pytest.fixture
def away(study: TinyStudy, lsf: fake.Cluster) -> TinyStudy:
    """The tiny study with profiles; its experiment `waves` waits at level 0.2 until there is a file `go`."""
    (study.folder / "launch").mkdir()
    (study.folder / "launch" / "lsf.toml").write_text("[settings]\nchunk = 1\n", encoding="utf-8")
    study.write("waves", GATED)
    return study
