"""The pages of docs/ name commands, options, settings and files that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from readme_blocks import blocks_of, logical_lines, read_toml
from tiny_study import ROOT, TinyStudy

from gridrun import cli
from gridrun.commands._lazy import LazyGroup, find
from gridrun.commands._settings import parse
from gridrun.dispatch.follow import COUNTED
from gridrun.dispatch.profile import CHECKS, profile_from
from gridrun.dispatch.settings import KEYS, from_words

PAGES = sorted((ROOT / "docs").glob("*.md"))
SCRIPTS = {"train.py": "train", "make_figures.py": "figures"}
TYPED = re.compile(r"`((?:gridrun|python train\.py|python make_figures\.py)[^`]*)`")


def typed(page: Path) -> list[str]:
    """Every command line that a page shows, in blocks and in the text."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks_of(text) if block.language == "bash" for line in logical_lines(block.code)]
    lines += TYPED.findall(text)
    return [part.strip() for line in lines for part in line.split("&&")]


def check(line: str) -> None:
    """Raise for a command or an option that there is not."""
    words = shlex.split(line)
    if words[0] == "python":
        words = ["gridrun", SCRIPTS[words[1]], *words[2:]]
    if words[0] != "gridrun" or len(words) == 1:
        return
    command, rest = cli.find(words[1]), words[2:]
    if isinstance(command, LazyGroup):
        command, rest = find(rest[0], command.family), rest[1:]
    try:
        context = command.make_context(words[1], rest, obj=ROOT, resilient_parsing=False)
    except click.exceptions.Exit:  # --help
        return
    parse(context.params.get("settings") or ())
    for asked in context.params.get("asked") or ():
        from_words(asked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_line_can_be_typed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = list(typed(page))
    for file in {word for line in lines for word in shlex.split(line) if word.endswith(".csv")}:
        Path(file).touch()
    for line in lines:
        check(line)
    assert lines or page.stem in ("scale", "fault_statistics")


@pytest.mark.parametrize(
    "line",
    [
        "gridrun stauts",
        "gridrun status --taks",
        "python train.py -launch=memgb=3",
        "gridrun faults campain",
        "gridrun faults campaign -n ResNet20 --fault-list list.csv --image 10",
    ],
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    with pytest.raises((Exception, click.ClickException)):
        check(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_profile_can_be_read_and_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(text):
        if block.language == "toml":
            profile_from("slurm", read_toml(block.code))
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link


def test_the_page_on_clusters_names_every_setting_state_and_file(study: TinyStudy) -> None:
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    profile = (ROOT / "launch" / "slurm.toml").read_text() + (ROOT / "launch" / "lsf.toml").read_text()
    for key in {*CHECKS, *KEYS} - {"settings"}:
        assert key in profile, key
    for state in (*COUNTED, "stale", "missing"):
        assert f"{state}: " in text, state
    (study.folder / "launch").mkdir()
    (study.folder / "launch" / "here.toml").write_text('executor = "inprocess"')
    assert study.run("train", "-exp=waves", "-mode=here", "--snapshot").status == 0
    tree = text[text.index("sessions/jobs/<token>/") : text.index("Results are not there")]
    names = {path.relative_to(study.submission()).parts for path in study.submission().rglob("*") if path.is_file()}
    for parts in names - {("closed",), ("lock",)}:
        known = parts[0] if parts[0] == "code" or len(parts) == 1 else parts[1]
        assert known.partition(".pkl")[0] in tree, parts
