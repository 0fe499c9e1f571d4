"""gridrun query: stored results as a table, CSV or JSON."""

import csv
import io
import json

import pytest
from tiny_study import PAGE, TinyStudy


@pytest.fixture
def filled(study: TinyStudy) -> TinyStudy:
    study.run("train", "-exp=waves")
    study.run("train", "-exp=rocks", "-level=bad", "-seed=5")
    return study


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["seed=0"], [0.9, 0.8]),
        (["seed=0", "level=0.1"], [0.9]),
        (["seed!=0"], [0.8, 0.6, None]),
        (["level<0.2"], [0.9, 0.8]),
        (["level>=0.2"], [0.8, 0.6]),
        (["level=[0.1, 0.3]"], [0.9, 0.8]),
        (["level=0.7"], []),
        (["state=failed"], [None]),
        (["accuracy>0.7"], [0.9, 0.8, 0.8]),
        (["accuracy>0.7", "seed=1"], [0.8]),
        (["table=waves_measure"], [0.9, 0.8, 0.8, 0.6]),
    ],
)
def test_conditions_choose(filled: TinyStudy, conditions: list[str], expected: list[float]) -> None:
    words = [word for condition in conditions for word in ("--where", condition)]
    done = filled.run("query", *words, "--format=json")
    found = [row.get("accuracy") for row in json.loads(done.out)]
    assert done.status == 0
    assert sorted(found, key=str) == pytest.approx(sorted(expected, key=str))


def test_one_table_as_csv_with_chosen_columns(filled: TinyStudy) -> None:
    done = filled.run("query", "waves_measure", "--keys=seed,level,accuracy", "--format=csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert list(rows[0]) == ["seed", "level", "accuracy"]
    by_hand = {("0", "0.1"): 0.9, ("1", "0.1"): 0.8, ("0", "0.2"): 0.8, ("1", "0.2"): 0.6}
    assert {(row["seed"], row["level"]): float(row["accuracy"]) for row in rows} == pytest.approx(by_hand)


def test_the_table_shows_what_differs_and_the_newest_last(filled: TinyStudy) -> None:
    done = filled.run("query", "--limit=1")
    head, line = done.out.splitlines()
    assert head.split()[:3] == ["id", "table", "state"]
    assert line.split()[1:3] == ["rocks_measure", "failed"]


def test_what_kept_the_result_can_be_asked_too(filled: TinyStudy) -> None:
    import platform

    row = json.loads(
        filled.run("query", "waves_measure", "--limit=1", "--keys=host,python,function", "--format=json").out
    )[0]
    assert row["host"] == platform.node()
    assert row["versions.python"] == platform.python_version()
    assert row["function"].endswith("waves_measure")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--where", "sead=0"], "did you mean 'seed'?"),
        (["wave_measure"], "did you mean 'waves_measure'?"),
        (["--where", "seed"], "write key=value"),
    ],
)
def test_an_unknown_key_or_table_is_an_error(filled: TinyStudy, words: list[str], near: str) -> None:
    done = filled.run("query", *words)
    assert done.status == 2 and near in done.err


def test_an_empty_store_has_no_results(study: TinyStudy) -> None:
    assert study.run("query").out == "no results\n"
    assert json.loads(study.run("query", "--format=json").out) == []


def test_a_run_that_keeps_its_own_folder_shows_its_metrics(study: TinyStudy) -> None:
    page = PAGE.replace("import cachable, run, split", "import cachable, current_session, run, split")
    own = "saver=None, loader=lambda *place: {}, checker=lambda *place: True"
    page = page.replace('"point:seed"])', f'"point:seed"], {own})')
    page = page.replace(
        "    return {", "    (current_session().folder / 'metrics.json').write_text('{\"loss\": 0.25}')\n    return {"
    )
    study.write("waves", page)
    assert study.run("train", "-exp=waves", "-seed=1", "-level=0.1").status == 0
    (row,) = json.loads(study.run("query", "--where", "loss<1", "--keys=seed,loss,id", "--format=json").out)
    assert (row["seed"], row["loss"], len(row["id"])) == (1, 0.25, 32)
