"""The pages of the robust-training study at a tiny size: trained once for all, drawn, and agreeing with each other."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridrun import UsageError, get
from gridrun.experiment import load, overridden
from gridrun.tasks import settings

ROOT = Path(__file__).parents[1]
N_POINTS = {  # of the whole grid
    "mismatch_experiment": 48,
    "worst_case_experiment": 48,
    "landscape_experiment": 48,
    "ibp_experiment": 48,
    "methods_experiment": 24,
}
# Some methods, and no page's points of speech, so that LSNNs of a hundred time steps take seconds.
METHODS = ["Standard", "Adversarial"]
CHOSEN = [f"--where=method={METHODS}", "--where=dataset!=tones"]
FEW = [
    "-training_samples=100",
    "-batch_size=20",
    "-n_epochs=[4,0]",
    "-learning_rate=[0.03,0.01]",
    "-n_images=60",
    "-n_points=3",
    "-n_repeats=4",
]
FLAGS = ["-size=tiny", "-seed=0", *FEW, *CHOSEN]
NETWORKS = ["CNN, digits, batch_standardize=False", "ECG LSNN, synthetic heartbeats"]


def command(study: Path, name: str, *more: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("GRIDRUN_SESSIONS", None)
    line = [sys.executable, name, f"-exp={','.join(N_POINTS)}", *FLAGS, *more]
    done = subprocess.run(line, cwd=study, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A copy of the pages, so that results and figures land in the test's own folder."""
    (tmp_path / "experiments").mkdir()
    pages = [f"experiments/{page}.py" for page in N_POINTS]
    helpers = [f"experiments/{path.name}" for path in (ROOT / "experiments").glob("_*.py")]
    for name in (*pages, *helpers, "train.py", "make_figures.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def rows(folder: Path, page: str) -> list[dict[str, str]]:
    with (folder / f"{page}_experiment_tiny.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(table: list[dict[str, str]], key: str, **where: object) -> dict[tuple[str, str], float]:
    """{(network, method): number} of the rows that hold these values."""
    chosen = [row for row in table if all(row[name] == str(value) for name, value in where.items())]
    return {(row["Network"], row["Method"]): float(row[key]) for row in chosen}


def test_the_pages_share_their_networks_are_drawn_and_agree(study: Path) -> None:
    """One test, since the pages are computed once: what they found is looked at below."""
    said = command(study, "train.py", "-n_threads=1")
    assert "mismatch_experiment: 4 points: 4 computed now" in said
    for page in ("worst_case", "landscape", "ibp", "methods"):
        assert f"{page}_experiment: 4 points: 4 cached" in said
    command(study, "make_figures.py", "-n_threads=1")
    drawn = study / "figures"
    for page in N_POINTS:
        assert {path.suffix for path in drawn.glob(f"{page}_tiny.*")} == {".png", ".pdf", ".csv", ".md", ".tex"}
    check_pages_agree_where_they_measure_the_same(drawn)
    check_no_attack_leaves_less_than_is_verified_around_it(drawn)
    check_an_attack_goes_farther_than_chance(drawn)
    check_published_numbers_stand_beside_ours_under_their_own_name(drawn)


def check_pages_agree_where_they_measure_the_same(drawn: Path) -> None:
    attacked = rows(drawn, "worst_case")
    ours = {
        place: column(attacked, "Accuracy (%)", **{"Attack on": "KL", "Attack size": place}) for place in (0.0, 0.1)
    }
    clean, under_attack = ({k: v for k, v in found.items() if k[0] in NETWORKS} for found in ours.values())
    assert clean == pytest.approx(column(rows(drawn, "ibp"), "Verified (%)", **{"Box size": 0.0}))  # a box of one
    without_noise = column(rows(drawn, "mismatch"), "Mean (%)", Level=0.0)
    assert {(own(name), method): n for (name, method), n in without_noise.items()} == pytest.approx(clean)
    assert len(clean) == 4
    assert under_attack == pytest.approx(column(rows(drawn, "methods"), "Accuracy, attack (%)"))
    assert sum(clean.values()) > sum(under_attack.values()) + 10


def own(network: str) -> str:
    """A network's name without the data that is published of it."""
    return network.partition(" (published: ")[0]


def check_no_attack_leaves_less_than_is_verified_around_it(drawn: Path) -> None:
    table = rows(drawn, "ibp")
    for key in column(table, "Verified (%)", **{"Box size": 0.0}):
        boxes = [row for row in table if (row["Network"], row["Method"]) == key]
        verified, widths = ([float(row[name]) for row in boxes] for name in ("Verified (%)", "Width of a logit"))
        assert verified == sorted(verified, reverse=True) and verified[0] > verified[-1]
        assert widths == sorted(widths)
    # An attack of size 0.005 starts within a normal draw of std 0.001: in the box of size 0.01.
    proven = column([row for row in table if row["Network"] == NETWORKS[0]], "Verified (%)", **{"Box size": 0.01})
    for loss in ("KL", "CE"):
        left = column(rows(drawn, "worst_case"), "Accuracy (%)", **{"Attack on": loss, "Attack size": 0.005})
        assert all(proven[key] <= left[key] for key in proven) and len(proven) == 2


def check_an_attack_goes_farther_than_chance(drawn: Path) -> None:
    table = rows(drawn, "methods")
    attack, chance = (column(table, f"KL, {way}") for way in ("attack (nats)", "random (1/1000 nats)"))
    assert all(1000 * attack[key] > 1.5 * chance[key] > 0 for key in attack) and len(attack) == 4


def check_published_numbers_stand_beside_ours_under_their_own_name(drawn: Path) -> None:
    main = rows(drawn, "mismatch")
    named = {row["Network"] for row in main}
    assert "CNN, digits, batch_standardize=False (published: Fashion-MNIST, batch_standardize=True)" in named
    assert all(own(name) in NETWORKS for name in named) and len(named) == 2
    published = [row["Published mean (%)"] for row in main if row["Level"] == "0.5"]
    assert [number for number in published if number] == ["61.14", "85.96", "76.55", "86.22"]
    check_the_order_beside_the_published_one(drawn, main)
    attacked = column(rows(drawn, "worst_case"), "Accuracy (%)", **{"Attack on": "KL", "Attack size": 0.1})
    theirs = {method: number for (_, method), number in attacked.items() if "published" in method}
    assert theirs == {"Standard, published": 17.5, "Adversarial, beta 0.1, published": 78.41}
    of = {row["Network"] for row in rows(drawn, "worst_case") if "published" in row["Method"]}
    assert of == {"CNN, Fashion-MNIST, batch_standardize=True"}
    flat = rows(drawn, "landscape")
    beside = {(row["Network"], row["Method"]): row["Published (CNN: batch_standardize=True)"] for row in flat}
    assert beside[NETWORKS[0], "Standard"] == "0.3375" and beside[NETWORKS[1], "Adversarial"] == "0.0879"
    assert all(float(row["Flatness"]) > 0 and row["Flatness n"] == "2" for row in flat)  # two lines of one network


def check_the_order_beside_the_published_one(drawn: Path, main: list[dict[str, str]]) -> None:
    """Of two methods: place 1 for the larger mean here, and in brackets for the larger published one."""
    with (drawn / "mismatch_experiment_tiny_order.csv").open(newline="") as file:
        places = {
            (r["Network"], r["Level"], r["Method"]): r["Place by the mean (published)"] for r in csv.DictReader(file)
        }
    assert len(places) == 2 * (5 + 3)  # the CNN is published at five levels, the LSNN at three
    means = {(own(r["Network"]), r["Level"], r["Method"]): r for r in main}
    for (network, level, method), place in places.items():
        one = means[network, level, method]
        other = means[network, level, METHODS[method == METHODS[0]]]
        wanted = [1 + (float(other[key]) > float(one[key])) for key in ("Mean (%)", "Published mean (%)")]
        assert place == "{} ({})".format(*wanted)


@pytest.mark.parametrize("page", N_POINTS)
def test_no_page_trains_what_the_main_table_does_not(page: str) -> None:
    grid, main_table = (load(ROOT, name).train_grid() for name in (page, "mismatch_experiment"))
    assert len(grid) == N_POINTS[page] and all(point in main_table for point in grid)


@pytest.mark.parametrize("size", ["tiny", "small", "real", "paper"])
def test_every_network_of_every_size_can_be_trained(size: str) -> None:
    with overridden(load(ROOT, "mismatch_experiment"), {"size": size}) as experiment:
        points = experiment.train_grid()
    for point in points:  # each raises for a setting that cannot be, or that would have no effect
        settings.method(point)
        assert len(settings.schedule(point).rates()) == sum(get(point, "n_epochs"))
    assert len({(point["study"], point["method"], point["seed"]) for point in points}) == len(points) == 48


def test_no_size_evaluates_on_more_samples_than_there_are() -> None:
    n_tested = {"digits": 540, "synthetic_ecg": 400, "tones": 240, "fashion_mnist": 10_000, "ecg": 320}
    n_tested |= {"spoken_digits": 300, "speech_commands": 2_000}  # docs/data.md; of the last there are more
    for size in ("tiny", "small", "real", "paper"):
        with overridden(load(ROOT, "mismatch_experiment"), {"size": size}) as experiment:
            points = experiment.train_grid()
        assert all((get(p, "n_images") or 0) <= n_tested[get(p, "dataset")] for p in points)


def test_an_unknown_size_is_told_with_those_there_are() -> None:
    with overridden(load(ROOT, "worst_case_experiment"), {"size": "smal"}) as experiment:
        point = experiment.train_grid()[0]
    with pytest.raises(UsageError, match="size='smal'; there are tiny, small, real, paper"):
        get(point, "n_epochs")
