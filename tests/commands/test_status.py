"""gridrun status: counts by experiment."""

import json

from tiny_study import TinyStudy


def counts(study: TinyStudy, *words: str) -> dict[str, dict[str, int]]:
    rows = json.loads(study.run("status", "--format=json", *words).out)
    return {row.pop("experiment"): row for row in rows}


def test_points_are_counted_by_state(study: TinyStudy) -> None:
    nothing = {"points": 4, "done": 0, "running": 0, "pending": 0, "failed": 0, "stale": 0, "missing": 4}
    assert counts(study) == {"rocks": nothing, "waves": nothing}
    study.run("train", "-exp=waves", "-seed=1")
    assert counts(study, "-exp=waves")["waves"] == {**nothing, "done": 2, "missing": 2}
    assert counts(study, "-exp=waves", "-seed=1")["waves"] == {
        **nothing,
        "points": 2,
        "done": 2,
        "missing": 0,
    }


def test_a_broken_page_is_named_and_the_others_are_counted(study: TinyStudy) -> None:
    study.write("rocks", "import nothing_of_this_name\n")
    done = study.run("status")
    assert done.status == 1
    assert "rocks: ModuleNotFoundError" in done.err
    assert done.out.splitlines()[1].split() == ["waves", "4", "0", "0", "0", "0", "0", "4"]
