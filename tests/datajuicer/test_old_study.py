"""Experiments written for datajuicer run unchanged but for their imports: from training to tables."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy
import pytest

from gridrun.datajuicer import djm, run
from gridrun.errors import NotComputed

Load = Callable[[str], ModuleType]


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training script runs with this Python and this gridrun."""
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def trained(study: Path) -> list[str]:
    """The session ids that the training script was called with."""
    calls = study / "Resources" / "calls"
    return calls.read_text().split() if calls.exists() else []


def test_training_runs_once_in_its_own_process_and_keeps_its_own_files(study: Path, load: Load) -> None:
    experiment = load("mismatch_experiment").mismatch_experiment
    assert run(experiment.train_grid(), "train")("{*}") is not None
    ids = trained(study)
    assert len(ids) == len(set(ids)) == 6
    assert all(str(int(one)) == one for one in ids)  # the script reads them as int
    assert {path.stem for path in (study / "Resources").glob("*.json")} == set(ids)

    grid = run(experiment.train_grid(), "train", run_mode="load", store_key="*")("{*}")
    assert len(trained(study)) == 6
    assert [g["lsnn_session_id"] for g in grid] == ids
    assert [g["network"].seed for g in grid] == [0, 1, 0, 1, 0, 1]  # an object that no store could keep
    assert [g["training_accuracies"][1] for g in grid] == pytest.approx([0.75, 0.75, 0.775, 0.775, 0.75, 0.75])


def test_nothing_is_loaded_that_was_not_trained(study: Path, load: Load) -> None:
    experiment = load("mismatch_experiment").mismatch_experiment
    with pytest.raises(NotComputed, match="6 of 6 points of lsnn"):
        experiment.visualize()
    assert run(experiment.train_grid(), "train", run_mode="load_any", store_key="*")("{*}") == []
    assert trained(study) == []


def test_a_training_whose_files_are_not_whole_is_run_again(study: Path, load: Load) -> None:
    grid = load("mismatch_experiment").mismatch_experiment.train_grid()[:2]
    run([{**point, "mode": "silent"} for point in grid], "train")("{*}")  # a job that leaves nothing behind
    with pytest.raises(NotComputed):
        run(grid, "train", run_mode="load")("{*}")
    run(grid, "train")("{*}")
    assert len(trained(study)) == 2
    next((study / "Resources").glob("*.json")).write_text("{")
    run(grid, "train")("{*}")
    assert len(trained(study)) == 3


def test_files_that_appear_later_count(study: Path, load: Load) -> None:
    """A job that a scheduler runs: the call returns at once, the files come when it has run."""
    point = load("mismatch_experiment").mismatch_experiment.train_grid()[0]
    copies = djm(point, "train", store_key="done")("{*}")
    session = copies[0]["session_id"]
    file = study / "Resources" / f"{session}.json"
    content = file.read_text()
    file.unlink()
    with pytest.raises(NotComputed):
        run(point, "train", run_mode="load")("{*}")
    file.write_text(content)
    assert run(point, "train", run_mode="load")("{*}")[0]["session_id"] == int(session)


def test_the_mismatch_experiment_from_training_to_table(study: Path, load: Load) -> None:
    module = load("mismatch_experiment")
    calls = load("experiment_utils").CALLS
    run(module.mismatch_experiment.train_grid(), "train", n_threads=2)("{*}")
    grid, grid_mm, axes, heads, reduced, text, n_unique = module.mismatch_experiment.visualize()

    assert len(calls) == len(grid_mm) == 3 * 2 * 3
    assert {type(g["seed"]) for g in grid_mm} <= {int, numpy.int64}
    assert [len(g["mismatch_list"]) for g in grid_mm[:3]] == [1, 4, 4]  # where 0 matches 0.0
    assert heads == ["architecture", "Method", "Mismatch", ""]
    places = [("Standard", "0.3"), ("Standard", "0.1"), ("Standard", "0.0"), ("Beta", "0.3")]
    assert list(axes)[:4] == [("Speech LSNN", *place) for place in places]
    assert axes["Speech LSNN", "Beta", "0.3"] == pytest.approx([0.775, 0.765, 0.755, 0.745] * 2)

    by_hand = 100 * numpy.array([0.75, 0.74, 0.73, 0.72])
    row = next(p for p in reduced if p["mm_level"] == 0.3 and p["beta_robustness"] == 0.0 and not p["awp"])
    assert set(row) == {"architecture", "awp", "beta_robustness", "dropout_prob", "mm_level",
                        "mismatch_list_mean", "mismatch_list_std", "mismatch_list_min"}  # fmt: skip
    assert row["mismatch_list_mean"] == pytest.approx(by_hand.mean())
    assert row["mismatch_list_std"] == pytest.approx(by_hand.std())
    assert n_unique == len(grid_mm)

    line = next(line for line in text.splitlines() if line.startswith("0.3"))
    assert r"\textbf{76.00} & \textbf{1.12} & \textbf{74.50}" in line  # beta has the best mean and minimum
    assert "73.50 & \\textbf{1.12} & 72.00" in line
    assert text.splitlines()[5].split("multicolumn")[1:] != []


def test_the_second_run_computes_nothing_and_gives_the_same(study: Path, load: Load) -> None:
    module = load("worst_case_experiment")
    run(module.worst_case_experiment.train_grid(), "train")("{*}")
    first = module.worst_case_experiment.visualize()
    n_calls = len(trained(study))
    second = module.worst_case_experiment.visualize()
    assert len(trained(study)) == n_calls == 4
    assert [type(g["found"]) for g in second[0]] == [tuple] * 12
    assert first[1:] == second[1:]


def test_the_worst_case_experiment_by_hand(study: Path, load: Load) -> None:
    module = load("worst_case_experiment")
    run(module.worst_case_experiment.train_grid(), "train")("{*}")
    _, drawn, one, reduced, text, losses = module.worst_case_experiment.visualize()
    assert list(drawn) == ["Standard", "Beta"]  # the list of indices turned Beta, Standard around
    assert drawn["Standard"][0] == pytest.approx([90, 80, 70])
    assert drawn["Standard"][1:] != drawn["Beta"][1:]
    assert one[0] == [3, 1] and one[1][1] == pytest.approx([0.2] * 4) and one[2] == "Attack size"
    assert [set(p) for p in reduced] == [{"beta_robustness", "attack_size", "acc"}] * 6
    assert losses == pytest.approx([0.2])
    rows = [line.split(" & ")[0] for line in text.splitlines() if line[:1] == "0"]
    assert rows == ["0.2", "0.0", "0.1"]


def test_results_of_any_kind_come_back(study: Path, load: Load) -> None:
    utils, architectures = load("experiment_utils"), load("architectures")
    grid = run(architectures.lsnn.make(), "train", store_key="*")("{*}")
    twice = [run(grid, utils.get_landscape, store_key="l")("{*}", 3)[0]["l"] for _ in range(2)]
    assert utils.CALLS == ["landscape"]
    for found in twice:
        numpy.testing.assert_array_equal(found["loss"], numpy.ones((2, 3)))
        numpy.testing.assert_array_equal(found["alpha"], [-1, 0, 1])
    assert [run(grid, utils.nothing)("{seed}") for _ in range(2)] == [[None], [None]]
    assert utils.CALLS == ["landscape", "nothing"]


def test_a_plain_function_may_change_its_point_and_return_it(study: Path, load: Load) -> None:
    utils, architectures = load("experiment_utils"), load("architectures")
    grid = run(architectures.lsnn.make(), "train", store_key="*")("{*}")
    points = run(grid, utils.get_voltage, n_threads=1, store_key="V")("{*}")
    assert points[0]["V"] == 10.0 and "V" not in grid[0]
    points = run(grid, utils.make_summary, store_key=None)("{*}")
    assert points[0]["summary"] == 3.0 and points[0]["network"] is grid[0]["network"]


def test_a_changed_training_function_keeps_its_results_and_says_so(study: Path, load: Load) -> None:
    architectures = load("architectures")
    run(architectures.lsnn.make(), "train")("{*}")
    page = study / "architectures.py"
    page.write_text(page.read_text().replace("return None", "print()\n        return None"))
    os.utime(page, (1, 1))
    del sys.modules["architectures"]
    changed = load("architectures").lsnn.make()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run(changed, "train", run_mode="load")("{*}")
    assert len(trained(study)) == 1
    assert any("lsnn: 1 points reuse results of earlier code" in str(one.message) for one in said)


def test_a_changed_evaluation_is_computed_again(study: Path, load: Load) -> None:
    point = {"x": 1}
    assert run(point, load("experiment_utils").nothing)("{x}") == [None]
    page = study / "experiment_utils.py"
    page.write_text(page.read_text().replace('CALLS.append("nothing")', "return x + 1"))
    os.utime(page, (1, 1))
    del sys.modules["experiment_utils"]
    assert run(point, load("experiment_utils").nothing)("{x}") == [2]
