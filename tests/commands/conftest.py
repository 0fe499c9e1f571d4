"""A study that can be sent to a fake cluster."""

from __future__ import annotations

import pytest
from fakes import cluster as fake
from fakes.fixtures import lsf as lsf
from fakes.fixtures import tools as tools
from tiny_study import PAGE, TinyStudy

GATED = PAGE.replace(
    "    if point",
    """    print(f"measuring level={point['level']} seed={point['seed']}", flush=True)
    while point["level"] == 0.2 and not (STUDY / "go").exists():
        __import__("time").sleep(0.05)
    if point""",
    1,
)


@pytest.fixture
def away(study: TinyStudy, lsf: fake.Cluster) -> TinyStudy:
    """The tiny study with profiles; its experiment `waves` waits at level 0.2 until there is a file `go`."""
    (study.folder / "launch").mkdir()
    (study.folder / "launch" / "lsf.toml").write_text("[settings]\nchunk = 1\n", encoding="utf-8")
    study.write("waves", GATED)
    return study
