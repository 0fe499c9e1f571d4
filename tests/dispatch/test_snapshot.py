"""The code of a submission: its record, and its copy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_study import ROOT, TinyStudy

from gridrun.dispatch import snapshot
from gridrun.dispatch.snapshot import code_record, copy_code
from gridrun.errors import StoreError, UsageError
from gridrun.provenance import git_state


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A study with code, data, results and what tools leave behind."""
    root = tmp_path / "my study"
    for name in (
        "train.py",
        "experiments/__init__.py",
        "experiments/waves.py",
        "experiments/größe.py",
        "launch/slurm.toml",
        "data/images.bin",
        "sessions/segments/1.rec",
        "figures/waves.png",
        ".venv/pyvenv.cfg",
        ".venv/lib/torch.py",
        "environment/pyvenv.cfg",
        "environment/lib/numpy.py",
        "experiments/__pycache__/waves.pyc",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, "-C", folder, *words], capture_output=True, text=True, check=True)
    git_state.cache_clear()
    return done.stdout


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


CODE = ["experiments/__init__.py", "experiments/größe.py", "experiments/waves.py", "launch/slurm.toml", "train.py"]


def test_without_git_what_ends_like_code_is_copied(code: Path, tmp_path: Path) -> None:
    assert copy_code(code, tmp_path / "copy") == 5
    assert names(tmp_path / "copy") == CODE
    assert (tmp_path / "copy" / "experiments" / "größe.py").read_text() == "# experiments/größe.py\n"


def test_with_git_what_is_tracked_or_would_be_is_copied(code: Path, tmp_path: Path) -> None:
    (code / ".gitignore").write_text("data/\n__pycache__/\n")
    (code / "notes.txt").write_text("read at run time")
    git(code, "init")
    git(code, "add", "train.py", "experiments/waves.py")
    (code / "experiments" / "waves.py").write_text("# edited")
    copy_code(code, tmp_path / "copy")
    assert names(tmp_path / "copy") == sorted([*CODE, ".gitignore", "notes.txt"])
    assert (tmp_path / "copy" / "experiments" / "waves.py").read_text() == "# edited"


def test_a_study_within_a_repository_that_ignores_it_is_copied_too(code: Path, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*\n")
    git(tmp_path, "init")
    copy_code(code, tmp_path / "copy")
    assert names(tmp_path / "copy") == CODE


def test_a_file_that_was_deleted_since_the_commit_and_a_repository_within(code: Path, tmp_path: Path) -> None:
    git(code, "init")
    git(code, "add", "train.py", "experiments", "launch")
    (code / "train.py").unlink()
    library = code / "library"
    library.mkdir()
    (library / "tools.py").touch()
    git(library, "init")
    copied = copy_code(code, tmp_path / "copy", leave=[code / "data"])
    assert copied == len(names(tmp_path / "copy"))
    assert "library/tools.py" in names(tmp_path / "copy") and "train.py" not in names(tmp_path / "copy")
    assert not (tmp_path / "copy" / "data").exists()


def test_links_lead_to_the_copy_or_out_of_it(code: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("outside")
    (code / "to_code.py").symlink_to("experiments/waves.py")
    (code / "absolute.py").symlink_to(code / "train.py")
    (code / "to_outside.py").symlink_to("../outside.py")
    (code / "broken.py").symlink_to("nowhere.py")
    copy = tmp_path / "deep" / "down" / "copy"
    copy_code(code, copy)
    assert (copy / "to_code.py").resolve() == copy.resolve() / "experiments" / "waves.py"
    assert (copy / "absolute.py").resolve() == copy.resolve() / "train.py"
    assert (copy / "to_outside.py").read_text() == "outside"
    assert (copy / "broken.py").is_symlink() and not (copy / "broken.py").exists()


def test_too_much_to_be_code_is_refused_with_the_largest_files(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MOST_MB", 1)
    (code / "experiments" / "table.json").write_bytes(bytes(2_000_000))
    with pytest.raises(UsageError, match=r"2 MB from .*my study.* experiments/table.json \(2 MB\).*\.gitignore"):
        copy_code(code, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_cannot_be_finished_is_absent(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(snapshot.shutil, "copy2", full)
    with pytest.raises(StoreError, match="the disk is full"):
        copy_code(code, tmp_path / "copy")
    assert not list(tmp_path.glob("*copy*"))


def test_the_record_names_commit_edits_interpreter_and_packages(code: Path) -> None:
    git(code, "init")
    git(code, "add", "train.py")
    git(code, "commit", "-m", "one")
    (code / "experiments").rename(code.parent / "aside")
    (code / "environment").rename(code.parent / "aside2")
    (code / ".venv").rename(code.parent / "aside3")
    found = code_record(code, ["module load python"])
    assert found["git"] == {"commit": git(code, "rev-parse", "HEAD").strip(), "dirty": False}
    assert found["edits"] == ""
    assert found["interpreter"] == sys.executable and found["setup"] == ["module load python"]
    assert {"gridrun", "numpy"} <= set(found["packages"])
    assert json.loads(json.dumps(found)) == found


def test_each_edit_and_each_new_page_has_its_own_hash(code: Path) -> None:
    git(code, "init")
    git(code, "add", "train.py", "experiments/waves.py")
    git(code, "commit", "-m", "one")
    seen = [code_record(code)["edits"]]
    (code / "experiments" / "waves.py").write_text("# edited")
    seen.append(code_record(code)["edits"])
    (code / "experiments" / "rocks.py").write_text("# new")
    seen.append(code_record(code)["edits"])
    (code / "experiments" / "rocks.py").write_text("# new, and edited")
    seen.append(code_record(code)["edits"])
    assert len(set(seen)) == 4
    (code / "experiments" / "rocks.py").unlink()
    assert code_record(code)["edits"] == seen[1]


def test_without_git_the_code_has_a_hash(code: Path) -> None:
    before = code_record(code)
    assert before["git"] == {} and before["edits"]
    (code / "figures" / "waves.png").write_text("drawn anew")
    assert code_record(code)["edits"] == before["edits"]
    (code / "train.py").write_text("# edited")
    assert code_record(code)["edits"] != before["edits"]


def test_functions_of_a_copy_have_the_keys_of_the_study(study: TinyStudy, tmp_path: Path) -> None:
    copy_code(study.folder, tmp_path / "copy")
    study.run("train", "-exp=waves")
    here = study.run("train", "-exp=waves", "--dry-run")
    there = TinyStudy(tmp_path / "copy")
    (tmp_path / "copy" / "sessions").symlink_to(study.folder / "sessions")
    assert here.out == there.run("train", "-exp=waves", "--dry-run").out == "waves: 4 points: 4 cached\n"


def test_a_copy_of_this_repository_runs_its_own_gridrun(tmp_path: Path) -> None:
    copy_code(ROOT, tmp_path / "copy")
    done = subprocess.run(
        [sys.executable, "-c", "import gridrun; print(gridrun.__file__)"],
        env={"PYTHONPATH": str(tmp_path / "copy")}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == tmp_path / "copy" / "gridrun" / "__init__.py"
    assert (tmp_path / "copy" / "gridrun" / "commands" / "templates" / "launch" / "local.toml").read_text()
