"""ruff and mypy have nothing to say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def check(*command: str) -> str:
    """The output of `python -m command` where it fails, else nothing."""
    line = [sys.executable, "-m", *command]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_ruff() -> None:
    assert check("ruff", "check", ".") == ""
    assert check("ruff", "format", "--check", ".") == ""


def test_mypy() -> None:
    assert check("mypy") == ""


def test_the_check_sees_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text("import os\n\ndef f(x: int) -> str:\n    return x\n")
    assert "F401" in check("ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(page))
    assert "return-value" in check("mypy", "--config-file", str(ROOT / "setup.cfg"), str(page))
