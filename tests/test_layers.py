"""Imports point inward: experiments -> glue -> engine or science, and these two never import each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The rule of the house: the engine is files at the top of gridrun/ and dispatch/; the science is folders,
# stats.py and figures.py; glue is what stands below.
GLUE = {"architectures", "cli", "tasks", "commands", "datajuicer"}
SCIENCE = {"nn", "data", "training", "faults", "analysis", "stats", "figures"}
MAY_IMPORT = {
    "engine": {"engine"},
    "science": {"science"},
    "glue": {"glue", "engine", "science"},
    "experiments": {"experiments", "glue", "engine", "science"},
}
HEAVY = {"torch", "pandas", "seaborn"}
SLOW_TO_LOAD = {
    "numpy",
    "torch",
    "pandas",
    "joblib",
    "click",
    "rich",
    "seaborn",
    "diskcache",
    "matplotlib",
    "scipy",
}


def ring(module: str) -> str | None:
    """The ring of a dotted module name; None for other people's packages.

    >>> ring("gridrun.store"), ring("gridrun.faults.bits"), ring("gridrun.tasks.train"), ring("torch.nn")
    ('engine', 'science', 'glue', None)
    """
    top, _, rest = module.partition(".")
    if top == "experiments":
        return "experiments"
    if top != "gridrun":
        return None
    room = rest.partition(".")[0]
    return "glue" if room in GLUE else "science" if room in SCIENCE else "engine"


def imported(source: str, module: str, is_package: bool, only_at_import: bool = False) -> Iterator[tuple[str, int]]:
    """Every (module, line) that `source` imports, relative names resolved.

    only_at_import: leave out what stands inside functions and under `if TYPE_CHECKING`.
    """
    parent = module if is_package else module.rpartition(".")[0]
    for node in walk(ast.parse(source), only_at_import):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = parent.split(".")[: len(parent.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:  # `from gridrun import stats` imports the module gridrun.stats
                yield (f"{base}.{alias.name}" if base in {"gridrun", "experiments"} else base), node.lineno


def walk(node: ast.AST, only_at_import: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if only_at_import and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if only_at_import and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from walk(child, only_at_import)


def pages() -> list[Path]:
    found = [*ROOT.glob("gridrun/**/*.py"), *ROOT.glob("experiments/**/*.py")]
    return sorted(page for page in found if "templates" not in page.parts)


def name_of(page: Path) -> str:
    parts = page.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """Lines that import outward or across."""
    allowed = MAY_IMPORT[ring(module) or "experiments"]
    return [
        f"line {line}: {module} ({ring(module)}) imports {name} ({ring(name)})"
        for name, line in imported(source, module, is_package)
        if ring(name) not in allowed | {None}
    ]


def heavy_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    return [
        f"line {line}: {name}"
        for name, line in imported(source, module, is_package, only_at_import=True)
        if name.partition(".")[0] in HEAVY
    ]


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_imports_point_inward(page: Path) -> None:
    assert wrong_imports(page.read_text(), name_of(page), page.stem == "__init__") == []


@pytest.mark.parametrize("page", [page for page in pages() if ring(name_of(page)) == "engine"], ids=name_of)
def test_the_engine_imports_nothing_heavy_at_import(page: Path) -> None:
    assert heavy_imports(page.read_text(), name_of(page), page.stem == "__init__") == []


@pytest.mark.parametrize(
    ("module", "line", "is_wrong"),
    [
        ("gridrun.store", "from .nn import layers", True),
        ("gridrun.store", "from . import stats", True),
        ("gridrun.store", "def f():\n    import gridrun.tasks.train", True),
        ("gridrun.store", "from . import hashing", False),
        ("gridrun.dispatch.local", "from ..faults.bits import flip", True),
        ("gridrun.nn.layers", "from gridrun import cachable", True),
        ("gridrun.nn.layers", "from ..data import digits", False),
        ("gridrun.tasks.train", "from gridrun.nn import layers", False),
        ("gridrun.tasks.train", "from experiments import page", True),
        ("experiments.page", "from gridrun.architectures import cnn", False),
    ],
)
def test_the_walk_sees_every_form_of_import(module: str, line: str, is_wrong: bool) -> None:
    assert bool(wrong_imports(line, module)) == is_wrong


def test_heavy_is_judged_at_import_only() -> None:
    assert heavy_imports("import torch.nn", "gridrun.store") == ["line 1: torch.nn"]
    assert heavy_imports("class A:\n    from pandas import DataFrame", "gridrun.store") == ["line 2: pandas"]
    assert heavy_imports("def f():\n    import torch", "gridrun.store") == []
    assert heavy_imports("if TYPE_CHECKING:\n    import torch", "gridrun.store") == []


def loaded_by(*arguments: str) -> set[str]:
    """The top-level packages that a fresh `python arguments` has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}


def test_import_gridrun_loads_nothing_slow() -> None:
    assert loaded_by("-c", "import gridrun") & SLOW_TO_LOAD == set()


@pytest.mark.parametrize("script", ["train.py", "make_figures.py"])
def test_help_loads_nothing_slow(script: str) -> None:
    loaded = loaded_by(script, "--help")
    assert "click" in loaded  # the listing works
    assert loaded & (SLOW_TO_LOAD - {"click"}) == set()
