"""Every block of the README does what the page says."""

from __future__ import annotations

import subprocess
from itertools import groupby
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from readme_blocks import Block, blocks_of, check_setup, run_block

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
LEFT_OUT = ignore_patterns(".git", ".venv", "sessions", "figures", "*.egg-info", ".*_cache", "__pycache__")


def sections() -> list[Any]:
    """The README's blocks, section by section; those with a marker of their own run under it, apart."""
    found = []
    blocks = blocks_of(README.read_text()) if README.exists() else []
    for (section, mark), group in groupby(blocks, key=lambda block: (block.section, block.mark)):
        marks = [getattr(pytest.mark, mark)] if mark else []
        found.append(pytest.param(list(group), id=f"{section} {mark}".strip().replace(" ", "-"), marks=marks))
    return found


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository to run in; results go into its own sessions/."""
    folder = tmp_path / "gridrun"
    copytree(ROOT, folder, ignore=LEFT_OUT)
    monkeypatch.setenv("GRIDRUN_SESSIONS", str(folder / "sessions"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("blocks", sections())
def test_blocks_do_what_the_readme_says(blocks: list[Block], tree: Path) -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for block in blocks:
        run_block(block, names, tree)  # asserts


def test_the_readme_shows_code_and_names_the_two_commands_of_a_fresh_machine() -> None:
    page = README.read_text()
    assert {"python", "bash"} <= {block.language for block in blocks_of(page)}
    assert "make demo" in page and "make test" in page


FALSE_PAGES = {
    "wrong output after the block": "```python\nprint(1 + 1)\n```\n```text\n3\n```\n",
    "wrong output in a comment": "```python\nprint(1 + 1)  # prints: 3\n```\n",
    "output that the page hides": "```python\nprint(1 + 1)\n```\n",
    "a wrong doctest": "```python\n>>> 1 + 1\n3\n```\n",
    "a failing command": "```bash\ntrue\nfalse\ntrue\n```\n",
    "a wrong answer of a command": "```bash\necho 2\n```\n```text\n3\n```\n",
    "a target that the Makefile lacks": "```bash\nmake coffee\n```\n",
    "an extra that setup.cfg lacks": '```bash\npip install -e ".[espresso]"\n```\n',
    "a file that is not there": "```bash\npip install -c nothing.txt gridrun\n```\n",
    "a language left out": "```\nx = 1\n```\n",
    "broken toml": "```toml\nexecutor = \n```\n",
}
TRUE_PAGE = """
```python
x = 1 + 1
print(x)  # prints: 2
```
```python
>>> x
2
```
```bash
echo one; ls setup.cfg   # a comment
make test
```
```text
one
setup...
```
"""


@pytest.mark.parametrize("page", FALSE_PAGES.values(), ids=FALSE_PAGES)
def test_a_false_page_fails(page: str, tree: Path) -> None:
    with pytest.raises((AssertionError, ValueError)):
        test_blocks_do_what_the_readme_says(blocks_of(page), tree)


def test_a_true_page_passes(tree: Path) -> None:
    blocks = blocks_of(TRUE_PAGE)
    assert [block.language for block in blocks] == ["python", "python", "bash"]
    test_blocks_do_what_the_readme_says(blocks, tree)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_build_their_own_environment(target: str, tree: Path) -> None:
    assert check_setup(f"make {target}", tree)
    recipe = subprocess.run(["make", "-n", target], cwd=tree, capture_output=True, text=True, check=True)
    assert all(word in recipe.stdout for word in ("-m venv", "pip install", "-c constraints.txt"))
