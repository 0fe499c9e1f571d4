"""The fenced blocks of a Markdown page, and what each must do to be true."""

from __future__ import annotations

import configparser
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOKEN = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*) *\n(?P<code>.*?)^(?P=indent)``` *$"  # a block
    r"|^## (?P<section>.+?) *$"  # the title of the section it stands in
    r"|^<!-- test: (?P<mark>\w+) -->$",  # above a block: the pytest marker it runs under
    re.MULTILINE | re.DOTALL,
)
PRINTS = re.compile(r"#\s*prints:\s?(.*)$", re.MULTILINE)
LANGUAGES = {"python", "bash", "toml", "json", "csv", "text"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block: language, text, first line in the page, section, marker and stated output."""

    language: str
    code: str
    line: int
    section: str
    mark: str = ""
    output: str | None = None  # the ```text block that follows it at once


def blocks_of(page: str) -> list[Block]:
    """Every fenced block of a Markdown page, outputs joined to what prints them.

    >>> page = "## Grids\\n```python\\nprint(1 + 1)\\n```\\n```text\\n2\\n```\\n"
    >>> blocks_of(page)
    [Block(language='python', code='print(1 + 1)\\n', line=3, section='Grids', mark='', output='2\\n')]
    """
    found: list[Block] = []
    section, mark, last_end = "", "", 0
    for token in TOKEN.finditer(page):
        if token["section"]:
            section, mark = token["section"], ""
        elif token["mark"]:
            mark = token["mark"]
        else:
            code = textwrap.dedent(token["code"])
            line = page.count("\n", 0, token.start("code")) + 1
            if token["language"] == "text" and last_end and not page[last_end : token.start()].strip():
                found[-1] = replace(found[-1], output=code)
            else:
                found.append(Block(token["language"], code, line, section, mark))
            mark, last_end = "", token.end()
    return found


def check_output(block: Block, printed: str, stated: str | None) -> None:
    """`...` in what is stated stands for any text; blanks count as one."""
    if stated is None:
        assert printed == "", f"line {block.line} prints this, and the page does not say so:\n{printed}"
        return
    same = doctest.OutputChecker().check_output(stated, printed, FLAGS)
    assert same, f"line {block.line} should print\n{stated}\nand prints\n{printed}"


def run_python(block: Block, names: dict[str, Any], folder: Path) -> None:
    """Run a block in the section's namespace, and compare what it prints with what the page says."""
    if block.code.lstrip().startswith(">>>"):
        example = doctest.DocTestParser().get_doctest(block.code, names, f"line {block.line}", None, block.line)
        report = io.StringIO()
        doctest.DocTestRunner(optionflags=FLAGS).run(example, out=report.write, clear_globs=False)
        names.update(example.globs)
        assert report.getvalue() == ""
        return
    page = folder / f"readme_line_{block.line}.py"  # a real file: functions find their source
    page.write_text("\n" * (block.line - 1) + block.code)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(page.read_text(), str(page), "exec"), names)
    stated = "\n".join(PRINTS.findall(block.code)) or block.output
    check_output(block, printed.getvalue(), stated)


def run_bash(block: Block, folder: Path) -> None:
    """Run the commands of a block in `folder`; those that set a machine up are checked (`check_setup`)."""
    commands = [line for line in logical_lines(block.code) if not check_setup(line, folder)]
    if not commands:
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"line {block.line} exits {done.returncode}:\n{done.stdout}{done.stderr}"
    if block.output is not None:
        check_output(block, done.stdout, block.output)


def logical_lines(code: str) -> list[str]:
    """Commands without comments, continued lines joined.

    >>> logical_lines("ls -l \\\\\\n  folder   # all of it\\n\\n# done\\n")
    ['ls -l folder']
    """
    joined = re.sub(r"\\\n\s*", "", code)
    return [line for raw in joined.splitlines() if (line := re.sub(r"(^|\s)#.*$", "", raw).strip())]


def check_setup(line: str, folder: Path) -> bool:
    """True for a command that sets a machine up; it is not run here, but what it names must exist."""
    words = [word for word in shlex.split(line) if not re.match(r"^\w+=", word)]
    if words[:1] == ["make"]:
        done = subprocess.run(["make", "-n", *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return True
    if words[:2] == ["pip", "install"] or words[1:4] == ["-m", "pip", "install"]:
        check_requirements(line, folder)
        return True
    return words[:2] == ["git", "clone"] or words[:1] == ["cd"] or words[1:3] == ["-m", "venv"]


def check_requirements(line: str, folder: Path) -> None:
    """The extras and files that a `pip install` names are there."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(folder / "setup.cfg")
    for extras in re.findall(r"\[([\w,-]+)\]", line):
        missing = set(extras.split(",")) - set(setup["options.extras_require"])
        assert not missing, f"{line}: setup.cfg has no extra {missing}"
    for file in re.findall(r"-[cr]\s+(\S+)", line):
        assert (folder / file).exists(), f"{line}: no file {file}"


def run_block(block: Block, names: dict[str, Any], folder: Path) -> None:
    """Do what a block says, or read it, according to its language."""
    assert block.language in LANGUAGES, f"line {block.line}: say what this block is, one of {sorted(LANGUAGES)}"
    if block.language == "python":
        run_python(block, names, folder)
    elif block.language == "bash":
        run_bash(block, folder)
    elif block.language == "json":
        json.loads(block.code)
    elif block.language == "toml":
        read_toml(block.code)


def read_toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
