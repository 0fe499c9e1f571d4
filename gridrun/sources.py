"""Modules as their source says: what each defines and imports at its top level. Read, never imported."""

from __future__ import annotations

import ast
import functools
import importlib.util
import linecache
import os
import sys
import sysconfig
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import CodeChanged
from .identity import module_name
from .machine import process_age_s
from .syntax import encode_bytecode


class _Main:
    """Stands for the script that runs."""


_Main.__module__ = "__main__"


@dataclass
class Module:
    """A module as its source says: what it defines and imports at its top level."""

    name: str
    path: str
    tree: ast.Module
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, str]]
    stars: list[str]
    newest: float


def read_module(path: str, name: str) -> Module | None:
    try:
        stat = os.stat(path)
    except OSError:  # a cell of a notebook
        return _parse_module(path, name, 0.0, 0)
    return _parse_module(path, name, stat.st_mtime, stat.st_size)


@functools.lru_cache(maxsize=1024)
def _parse_module(path: str, name: str, newest: float, size: int) -> Module | None:
    linecache.checkcache(path)
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except SyntaxError:
        return None
    module = Module(name, path, tree, {}, {}, [], newest)
    for statement in tree.body:
        for bound in dict.fromkeys(name for part in _statements([statement]) for name in _bound_by(part)):
            module.definitions.setdefault(bound, []).append(statement)
    module.imports.update(imports_in(tree, module, nested=False))
    module.stars.extend(_stars(tree, module))
    return module


def code_module(function: types.FunctionType) -> str:
    """The module that a function's code stands in (functools.wraps changes what the function says of itself)."""
    name = function.__globals__.get("__name__") or ""
    return name if name != "__main__" else module_name(_Main)


def module_of(function: types.FunctionType) -> Module | None:
    """The source that a function's code was compiled from; None if there is none."""
    path = function.__code__.co_filename
    lines = linecache.getlines(path, function.__globals__)
    return read_module(path, code_module(function)) if lines else None


def class_source(value: type) -> tuple[Module, ast.ClassDef] | None:
    """The source of a class: the definition of its name that holds its methods, if several are called so."""
    path = getattr(sys.modules.get(value.__module__), "__file__", None)
    module = read_module(path, module_name(value)) if path and path.endswith(".py") else None
    if module is None:
        return None
    nodes = [n for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef) and n.name == value.__name__]
    methods = [v for v in vars(value).values() if isinstance(v, types.FunctionType)]
    lines = [m.__code__.co_firstlineno for m in methods if m.__code__.co_filename == path]
    around = [n for n in nodes if all(n.lineno <= line <= (n.end_lineno or 0) for line in lines)]
    return (module, around[0]) if around else None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module that may bind names, those within if, try, with and loops included."""
    for statement in body:
        if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, block, []))
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)
        else:
            yield statement


def _bound_by(statement: ast.stmt) -> list[str]:
    """The names that a simple statement binds, or whose object it changes (`TABLE[k] = v`, `TABLE.update(...)`)."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [statement.value.func] if isinstance(statement.value.func, ast.Attribute) else []
    else:
        return []
    names = []
    for target in targets:
        for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
            while isinstance(part, (ast.Subscript, ast.Attribute, ast.Starred)):
                part = part.value
            if isinstance(part, ast.Name):
                names.append(part.id)
    return names


def imports_in(node: ast.AST, module: Module, nested: bool = True) -> dict[str, tuple[str, str]]:
    """name -> (module, name there) for every import below `node`; the second is "" for a module itself."""
    found = ast.walk(node) if nested else iter(_statements(node.body))  # type: ignore[attr-defined]
    imports: dict[str, tuple[str, str]] = {}
    for statement in found:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                imports[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0],
                    "",
                )
        elif isinstance(statement, ast.ImportFrom):
            source = _absolute(statement, module)
            imports.update({a.asname or a.name: (source, a.name) for a in statement.names if a.name != "*"})
    return imports


def _stars(tree: ast.Module, module: Module) -> list[str]:
    froms = [s for s in _statements(tree.body) if isinstance(s, ast.ImportFrom)]
    return [_absolute(s, module) for s in froms if any(a.name == "*" for a in s.names)]


def _absolute(statement: ast.ImportFrom, module: Module) -> str:
    if not statement.level:
        return statement.module or ""
    steps = module.name.split(".")
    if os.path.basename(module.path) != "__init__.py":
        steps = steps[:-1]
    base = steps[: len(steps) - statement.level + 1]
    return ".".join([*base, *([statement.module] if statement.module else [])])


@functools.lru_cache(maxsize=4096)
def find_file(name: str) -> str | None:
    """The file of a module, found without importing it."""
    top, *rest = name.split(".")
    loaded = sys.modules.get(top)
    try:
        spec = getattr(loaded, "__spec__", None) or importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return getattr(loaded, "__file__", None) if not rest else None
    if not rest:
        return spec.origin if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or []:
        base = os.path.join(folder, *rest)
        for path in (base + ".py", os.path.join(base, "__init__.py")):
            if os.path.isfile(path):
                return path
    return None


def top_package(module_name: str) -> str:
    return module_name.split(".")[0]


@functools.lru_cache(maxsize=4096)
def is_installed(path: str) -> bool:
    real = os.path.realpath(path)
    standard = [os.path.realpath(sysconfig.get_path(p)) for p in ("stdlib", "platstdlib")]
    packages = any(part in ("site-packages", "dist-packages") for part in real.split(os.sep))
    return packages or any(real.startswith(folder + os.sep) for folder in standard)


def node_of(function: types.FunctionType, module: Module) -> ast.AST | None:
    """The syntax node of a function; lambdas on one line are told apart by their bytecode."""
    code = function.__code__
    found: list[ast.AST] = []
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            if min([node.lineno, *(d.lineno for d in node.decorator_list)]) == code.co_firstlineno:
                found.append(node)
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
            found.append(node)
    if len(found) > 1:
        return next((n for n in found if isinstance(n, ast.Lambda) and _compiles_to(n, code)), None)
    return found[0] if found else None


def _compiles_to(node: ast.Lambda, code: types.CodeType) -> bool:
    """Whether a lambda's source gives this code, in a function that has the variables it closes over."""
    scope = ast.parse(f"def scope({', '.join(code.co_freevars)}): return None")
    scope.body[0].body[0].value = node  # type: ignore[attr-defined]
    (outer,) = (c for c in compile(scope, "<lambda>", "exec").co_consts if isinstance(c, types.CodeType))
    candidates = [c for c in outer.co_consts if isinstance(c, types.CodeType)]
    return any(encode_bytecode(c) == encode_bytecode(code) for c in candidates)


def check_unedited(function: types.FunctionType, module: Module) -> None:
    """Refuse to take the fingerprint of a source file that was edited after its function was imported."""
    if module.newest <= _process_start():
        return
    wanted = function.__code__
    here, pending = [], [compile(module.tree, module.path, "exec")]
    while pending:
        code = pending.pop()
        if (code.co_name, code.co_firstlineno) == (wanted.co_name, wanted.co_firstlineno):
            here.append((code.co_code, code.co_names))
        pending.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
    if here and (wanted.co_code, wanted.co_names) not in here:
        raise CodeChanged(
            f"{module.path} was edited after {function.__qualname__} was imported from it; start again, so that "
            "results are stored under the code that computes them"
        )


@functools.lru_cache(maxsize=1)
def _process_start() -> float:
    return time.time() - process_age_s()
