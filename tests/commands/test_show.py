"""gridrun show: all that is known of one result."""

import json
import platform

from tiny_study import TinyStudy


def one_id(study: TinyStudy) -> str:
    return json.loads(study.run("query", "--limit=1", "--keys=id", "--format=json").out)[0]["id"]


def test_a_result_is_shown_with_its_settings_value_and_circumstances(study: TinyStudy) -> None:
    study.run("train", "-exp=waves", "-level=0.2", "-seed=1")
    shown = json.loads(study.run("show", one_id(study), "--json").out)
    assert [value for key, value in shown["settings"].items() if "seed" in key] == [1]
    assert shown["value"] == {"accuracy": 0.6}
    assert shown["circumstances"]["versions"]["python"] == platform.python_version()
    text = study.run("show", one_id(study)[:8])
    assert text.status == 0
    assert "accuracy" in text.out and "0.6" in text.out and platform.node() in text.out


def test_a_failure_is_shown_with_its_traceback(study: TinyStudy) -> None:
    study.run("train", "-exp=waves", "-level=bad", "-seed=1")
    shown = study.run("show", one_id(study))
    assert shown.status == 0
    assert 'raise ValueError("no measurement at a bad level")' in shown.out


def test_an_id_that_no_result_has_is_an_error(study: TinyStudy) -> None:
    study.run("train", "-exp=waves")
    done = study.run("show", "ffffffffffffff")
    assert done.status == 1 and "no result" in done.err and "Traceback" not in done.err
