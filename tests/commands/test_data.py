"""gridrun data: what is there, what it holds, and what is fetched."""

from __future__ import annotations

import json

import pytest
from tiny_study import TinyStudy

from gridrun.commands.data import OFFLINE, listed
from gridrun.data import KNOWN
from gridrun.data.download import FILES


def test_every_data_set_is_listed_with_how_its_files_come(study: TinyStudy) -> None:
    done = study.run("data", "--format=json")
    rows = {row["name"]: row for row in json.loads(done.out)}
    assert (done.status, list(rows)) == (0, list(KNOWN))
    assert rows["cifar10"]["sample"] == "3 x 32 x 32" and rows["cifar10"]["files"] == "--download"
    assert {name for name, row in rows.items() if row["files"] == "by hand"} == {"spoken_digits", "speech_kws01"}
    assert not set(OFFLINE) & set(FILES)


def test_a_named_one_is_read_and_absent_files_are_one_line(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(study.folder / "cache"))  # nothing is kept there from another time
    done = study.run("data", "digits", "synthetic_ecg", "--format=csv", "--download")  # offline: nothing to fetch
    assert done.out.splitlines() == [
        "name,training,test,distinct in test,sample,classes",
        "digits,1257,540,540,1 x 8 x 8,10",
        "synthetic_ecg,1600,400,400,100 x 2,4",
    ]
    done = study.run("data", "mnist", "--data-dir", str(study.folder))
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "no train-images-idx3-ubyte" in done.err and "MNIST/raw" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["minst"], "no data set 'minst'; did you mean 'mnist'?"),
        (["--download"], "fetches the data sets that are named"),
    ],
)
def test_what_cannot_be_is_said(study: TinyStudy, words: list[str], says: str) -> None:
    done = study.run("data", *words)
    assert done.status == 2 and says in done.err


def test_the_list_says_what_the_data_are() -> None:
    assert "synthetic" in str(listed("tones")["what"])
