"""gridrun init: a study outside this repository, for an installed gridrun."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from tiny_study import ROOT, TinyStudy

from gridrun.commands.init import FILES
from gridrun.commands.new import TEMPLATES
from gridrun.dispatch.profile import load_profile, parse_profile

LEFT_OUT = ignore_patterns(".*", "sessions", "figures", "*.egg-info", "build", "__pycache__", "tests")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with gridrun as `pip install` puts it there: from a wheel, not from this tree."""
    folder = tmp_path_factory.mktemp("installed")
    copytree(ROOT, folder / "source", ignore=LEFT_OUT, symlinks=True)
    copytree(ROOT / "sessions", folder / "source" / "sessions", ignore=lambda _, names: set(names) - {"README.md"})
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", folder / "site", folder / "source"], check=True, capture_output=True)
    return folder / "site"


def test_an_installed_gridrun_starts_a_study_that_works(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("GRIDRUN_SESSIONS")

    def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)

    where = run("-c", "import gridrun; print(gridrun.__file__)", folder=tmp_path).stdout
    assert where.startswith(str(installed))
    run("-c", "from gridrun.cli import main; main()", "init", "my study", folder=tmp_path)
    study = tmp_path / "my study"
    for name in (
        "experiments",
        "launch/local.toml",
        "launch/slurm.toml",
        "launch/lsf.toml",
        "sessions/README.md",
        "train.py",
        "make_figures.py",
        ".gitignore",
    ):
        assert (study / name).exists(), name
    assert "120 computed now" in run("train.py", folder=study).stdout
    assert "120 cached" in run("train.py", folder=study).stdout
    assert "drew figures/first_question.png" in run("make_figures.py", folder=study).stdout
    assert not (tmp_path / "sessions").exists()


def test_a_new_study_has_this_repository_s_profiles(tmp_path: Path) -> None:
    for ours in (ROOT / "launch").glob("*.toml"):
        assert (TEMPLATES / "launch" / ours.name).read_text() == ours.read_text()
        assert f"launch/{ours.name}" in FILES
        assert load_profile(ROOT, ours.stem).executor == ours.stem


def test_what_a_profile_shows_commented_out_is_right_too(tmp_path: Path) -> None:
    for ours in (ROOT / "launch").glob("*.toml"):
        text = re.sub(r"^( *)# (\"|[\w-]+ = )", r"\1\2", ours.read_text(), flags=re.MULTILINE)
        profile = parse_profile(ours.stem, text)
        if ours.stem != "local":
            assert len(profile.setup) >= 2 and len(profile.settings["extra"]) == 3 and profile.settings["chunk"] == 20


def test_nothing_that_exists_is_overwritten(study: TinyStudy) -> None:
    before = sorted(study.folder.rglob("*"))
    done = study.run("init", ".")
    assert done.status == 2 and "already holds train.py, make_figures.py, experiments" in done.err
    assert sorted(study.folder.rglob("*")) == before
