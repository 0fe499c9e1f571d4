"""The pages on variants of robust training at a tiny size: what they train and share, and numbers that must agree."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from tiny_study import ROOT, TinyStudy

from gridrun import get
from gridrun.experiment import load, overridden
from gridrun.tasks import settings

VARIANTS = ["awp_experiment", "amp_experiment", "constant_attack_experiment", "treat_as_constant_experiment"]
PAGES = [*VARIANTS, "pcm_experiment"]
FLAGS = ["-size=tiny", "-seed=0", "-training_samples=100", "-n_images=20", "--where=dataset=digits", "-n_threads=1"]
Rows = list[dict[str, str]]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyStudy:
    """A copy of the pages, so that what they store and draw is the test's own."""
    monkeypatch.delenv("GRIDRUN_SESSIONS")
    folder = tmp_path / "study"
    (folder / "experiments").mkdir(parents=True)
    helpers = [path.stem for path in (ROOT / "experiments").glob("_*.py")]
    names = [f"experiments/{name}.py" for name in (*PAGES, *helpers)]
    for name in (*names, "train.py", "make_figures.py"):
        (folder / name).write_text((ROOT / name).read_text())
    return TinyStudy(folder)


def test_the_pages_train_what_they_share_once_and_agree(study: TinyStudy) -> None:
    """One test, since trained networks are not handed from one process of pytest to another."""
    trained = study.run("train.py", f"-exp={','.join(PAGES)}", *FLAGS)
    assert trained.status == 0, trained.out + trained.err
    check_what_was_trained((trained.out + trained.err).splitlines())
    drawn = study.run("make_figures.py", f"-exp={','.join(PAGES)}", *FLAGS)
    assert drawn.status == 0, drawn.out + drawn.err
    files = {path.name for path in (study.folder / "figures").iterdir()}
    assert files == {f"{page}_tiny.{kind}" for page in PAGES for kind in ("png", "pdf", "csv", "md", "tex")}
    tables = {page: read(study.folder / "figures" / f"{page}_tiny.csv") for page in PAGES}
    check_networks_of_several_pages([means(tables[page], Under="Mismatch") for page in VARIANTS])
    check_clean_networks(tables["constant_attack_experiment"])
    check_published(tables["amp_experiment"])
    check_the_first_read(tables["pcm_experiment"])


def test_a_page_of_words_is_drawn_with_what_its_networks_had_of_the_data(study: TinyStudy) -> None:
    flags = ["-exp=treat_as_constant_experiment", "-size=tiny", "-seed=0", "-training_samples=40", "-n_images=20"]
    flags += ["-n_repeats=2", "--where=study=speech", "-n_threads=1", "-data_copy=7 clips"]
    trained = study.run("train.py", *flags)
    assert "3 points: 3 computed now" in trained.out + trained.err
    drawn = study.run("make_figures.py", *flags)
    assert drawn.status == 0, drawn.out + drawn.err
    table = read(study.folder / "figures" / "treat_as_constant_experiment_tiny.csv")
    named = {row["Network and data"] for row in table}
    assert named == {"Speech LSNN, synthetic tones (7 clips) (published: Speech Commands)"}
    assert len(table) == 3 * (6 + 5) and all(0 <= float(row["Mean (%)"]) <= 100 for row in table)


def check_what_was_trained(lines: list[str]) -> None:
    told = {line.partition(":")[0]: line for line in lines if " points: " in line}
    assert "7 points: 7 computed" in told["awp_experiment"]
    assert "3 cached, 4 computed" in told["amp_experiment"]  # 2 of the page before, and a tiny AMP has one step
    assert "2 cached, 1 computed" in told["constant_attack_experiment"]
    assert "2 cached, 1 computed" in told["treat_as_constant_experiment"]


def check_networks_of_several_pages(found: list[dict[str, list[float]]]) -> None:
    for method in ("Standard", "Adversarial"):
        assert len(found[0][method]) == 6
        assert all(other[method] == found[0][method] for other in found)


def check_clean_networks(rows: Rows) -> None:
    """Nothing done to a network is the same by whatever name."""
    clean = [means(rows, Under=under, Strength="0.0") for under in dict.fromkeys(row["Under"] for row in rows)]
    assert len(clean) == 4
    assert clean == [clean[0]] * 4


def check_published(rows: Rows) -> None:
    """Published means stand beside the methods that they are of: the published AMP is standard training."""
    known = {(r["Method"], r["Strength"]): float(r["Published mean (%)"]) for r in rows if r["Published mean (%)"]}
    assert {method for method, _ in known} == {"Standard", "Adversarial"}
    assert known["Standard", "0.5"] == 61.14 and known["Adversarial", "0.7"] == 79.39
    assert {r["Network and data"] for r in rows} == {
        "CNN, digits, batch_standardize=False (published: Fashion-MNIST, batch_standardize=True)"
    }


def check_the_first_read(rows: Rows) -> None:
    """Compensation changes nothing when drift begins."""
    at_first = [row for row in rows if row["After programming"] == "25 s"]
    found = {(row["Drift"], row["Method"]): row["Test accuracy (%)"] for row in at_first}
    assert len(found) == 6
    assert all(found[drift, method] == found["with compensation", method] for drift, method in found)


def read(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def means(rows: Rows, **where: str) -> dict[str, list[float]]:
    """The means of each method, in the table's order."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if all(row[key] == value for key, value in where.items()):
            found.setdefault(row["Method"], []).append(float(row["Mean (%)"]))
    return found


@pytest.mark.parametrize("size", ["tiny", "small", "real", "paper"])
@pytest.mark.parametrize("page", PAGES)
def test_every_point_of_every_size_is_a_method_of_its_own(page: str, size: str) -> None:
    with overridden(load(ROOT, page), {"size": size}) as experiment:
        grid = [point for point in experiment.train_grid() if point["seed"] == 0]
    of_study: dict[Any, list[Any]] = {}
    for point in grid:
        of_study.setdefault(get(point, "dataset"), []).append((settings.method(point), settings.schedule(point)))
    same = 1 if page == "amp_experiment" and size == "tiny" else 0  # AMP of one step is AMP of one step
    for methods in of_study.values():
        assert len({repr(method) for method in methods}) == len(methods) - same
