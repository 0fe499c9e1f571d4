"""gridrun new: a page that works as it is written."""

import pytest
from tiny_study import TinyStudy


def test_the_new_page_trains_and_draws(study: TinyStudy) -> None:
    assert study.run("new", "noise_of_fit").status == 0
    assert "noise_of_fit: 120 points: 120 computed now" in study.run("train.py", "-exp=noise_of_fit").out
    drawn = study.run("make_figures.py", "-exp=noise_of_fit")
    assert drawn.status == 0, drawn.err
    assert (study.folder / "figures" / "noise_of_fit.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_is_never_overwritten(study: TinyStudy) -> None:
    before = (study.folder / "experiments" / "waves.py").read_text()
    done = study.run("new", "waves")
    assert done.status == 2 and "exists already" in done.err
    assert (study.folder / "experiments" / "waves.py").read_text() == before


@pytest.mark.parametrize("name", ["my-question", "2nd", "class", "_hidden", "../escape"])
def test_a_name_that_python_cannot_import_is_refused(study: TinyStudy, name: str) -> None:
    done = study.run("new", name)
    assert done.status == 2 and "cannot be imported" in done.err
