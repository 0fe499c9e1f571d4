"""The pages of fault campaigns at a tiny size: computed once, drawn, and true to the campaign behind them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridrun import get
from gridrun.experiment import load, overridden

ROOT = Path(__file__).parents[1]
PAGES = ("fault_campaign", "fault_stuck_at_vs_flip", "fault_formats", "fault_robust_training")
TINY = {"n_epochs": [1, 0], "channels": [3, 4], "hidden": [8], "n_attack_steps": 1, "n_faults": 1, "images": 20}
N_POINTS = {"fault_campaign": 4, "fault_stuck_at_vs_flip": 6, "fault_formats": 8, "fault_robust_training": 15}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pages, so that results and figures land in the test's own folder."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "experiments").mkdir()
    for name in (*(f"experiments/{page}.py" for page in PAGES), "train.py", "make_figures.py"):
        (folder / name).write_text((ROOT / name).read_text())
    return folder


def command(study: Path, name: str, pages: str, **settings: object) -> str:
    flags = [f"-{key}={value}" for key, value in settings.items()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("GRIDRUN_SESSIONS", None)
    line = [sys.executable, name, f"-exp={pages}", "-n_threads=1", *flags]
    done = subprocess.run(line, cwd=study, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rows(study: Path, name: str) -> list[dict[str, str]]:
    with (study / "figures" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_page_is_computed_once_and_drawn(study: Path) -> None:
    settings = {**TINY, "seed": 0, "part": "0/1"}
    first = command(study, "train.py", ",".join(PAGES), **settings)
    assert first.count("computed now") == 4 and "fault_stuck_at_vs_flip: 3 points: 1 cached, 2 computed now" in first
    again = command(study, "train.py", ",".join(PAGES), **settings)
    assert "computed" not in again and "fault_robust_training: 5 points: 5 cached" in again
    command(study, "make_figures.py", ",".join(PAGES), **settings)
    for page in PAGES:
        assert {p.suffix for p in (study / "figures").glob(f"{page}.*")} == {".png", ".pdf", ".csv", ".md", ".tex"}

    cells = rows(study, "fault_campaign")
    assert len(cells) == 4 * 11 and {row["Bit"] for row in cells} >= {"31", "30", "16–22", "0–15"}
    named = [row["Campaign"] for row in rows(study, "fault_campaign_verdicts")]
    assert named[:2] == ["digits_cnn, here", "ResNet20, published"]  # theirs are never called ours
    kinds = rows(study, "fault_stuck_at_vs_flip")
    flip, stuck0, stuck1 = (
        {row["Bit"]: float(row["Critical rate (%)"]) for row in kinds if row["Fault"] == kind}
        for kind in ("Bit flip", "Stuck-at-0", "Stuck-at-1")
    )
    assert all(flip[bit] == pytest.approx(stuck0[bit] + stuck1[bit]) for bit in flip) and flip["30"] > 0
    by_bit = rows(study, "fault_formats_bits")
    assert [sum(row["Format"] == fmt for row in by_bit) for fmt in ("fp32", "fp16", "bf16", "int8")] == [11, 16, 16, 8]
    methods = [row["Method"] for row in rows(study, "fault_robust_training")]
    assert methods == ["Standard", "Dropout", "Forward noise", "Adversarial", "Both"]


@pytest.mark.parametrize("page", PAGES)
def test_the_points_of_a_page_and_one_key_that_makes_it_smaller(page: str) -> None:
    experiment = load(ROOT, page)
    full = experiment.train_grid()
    with overridden(experiment, {"size": "demo"}):
        demo = experiment.train_grid()
    assert len(full) == len(demo) == N_POINTS[page]
    assert {get(p, "n_faults") for p in demo} < {4, 12} and min(get(p, "n_faults") for p in full) >= 12


def test_the_robust_pages_networks_are_those_of_the_quickstart() -> None:
    ours, theirs = (load(ROOT, page).train_grid() for page in ("fault_robust_training", "mismatch_quickstart"))
    keys = [key for key in theirs[0] if key not in ("train", "size", "setting", "n_repeats")]
    assert [[get(p, key) for key in keys] for p in ours] == [[get(p, key) for key in keys] for p in theirs]


@pytest.mark.data
def test_the_published_network_runs_published_faults_beside_the_published_results(study: Path) -> None:
    settings = {"network": "ResNet20", "faults": "published", "rows": "1:5", "images": 20}
    command(study, "train.py", "fault_campaign", **settings)
    command(study, "make_figures.py", "fault_campaign", **settings)
    found = {row["Campaign"]: float(row["Critical (%)"]) for row in rows(study, "fault_campaign_verdicts")}
    assert list(found)[:2] == ["ResNet20, here", "ResNet20, published, these faults"]
    assert found["ResNet20, published, these faults"] == pytest.approx(100 * (1 + 1) / 30_000, abs=1)
    assert found["ResNet20, published"] == 1.28
