"""gridrun gc: dry by default, and deletes what --where chooses."""

import json

from tiny_study import TinyStudy


def n_results(study: TinyStudy) -> int:
    return len(json.loads(study.run("query", "--format=json").out))


def test_nothing_is_removed_without_delete(study: TinyStudy) -> None:
    study.run("train", "-exp=waves")
    done = study.run("gc", "--where", "seed=0")
    assert done.status == 0
    assert "2 results to delete" in done.out and "add --delete" in done.out
    assert n_results(study) == 4


def test_chosen_results_are_deleted_and_computed_again_when_asked_for(study: TinyStudy) -> None:
    study.run("train", "-exp=waves")
    assert "2 results deleted" in study.run("gc", "--where", "seed=0", "--delete").out
    assert n_results(study) == 2
    assert "2 cached, 2 missing" in study.run("train", "-exp=waves", "--dry-run").out
    study.run("train", "-exp=waves")
    assert len(study.calls()) == 6


def test_what_no_result_needs_is_listed_then_removed(study: TinyStudy) -> None:
    study.run("train", "-exp=waves")
    orphan = study.folder / "sessions" / "objects" / "ab" / "ab000000000000000000000000000000.npy"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x" * 2500)
    import os

    os.utime(orphan, (0, 0))  # long ago: not a file that someone is about to refer to
    listed = study.run("gc")
    assert orphan.name in listed.out and "2.5 kB could be freed" in listed.out
    assert orphan.exists()
    assert "2.5 kB freed" in study.run("gc", "--delete").out
    assert not orphan.exists()
    assert n_results(study) == 4
