"""What code a function runs: a fingerprint that changes when the function, or what it reaches, changes.

The function's syntax tree and those of the project-local functions, classes and constants it reaches are encoded
without comments, docstrings, formatting, annotations and positions, equally on every supported Python. Modules are
read, never imported, so a task that imports torch inside its body is fingerprinted without torch.

Local to the project is what lies neither in the standard library nor among installed packages, and, for a function
of an installed package, that package itself. gridrun counts as installed for everything outside it.
"""

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
from dataclasses import dataclass, field
from typing import Any

from .errors import CodeChanged
from .hashing import digest, encode_value
from .identity import identity
from .machine import process_age_s

CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type(...))
LEFT_OUT = {"ctx", "kind", "type_comment", "type_ignores", "returns", "annotation", "type_params"}
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Fingerprint:
    """`digest` (16 bytes) over `parts`: what was reached, by name, each with its own short digest."""

    digest: bytes
    parts: dict[str, str] = field(compare=False)
    from_bytecode: bool = False
    watched: tuple[tuple[dict[str, Any], str, Any], ...] = field(default=(), compare=False)

    def holds(self) -> bool:
        """Whether the names that were looked up at run time still mean the same objects."""
        return all(namespace.get(name) is value for namespace, name, value in self.watched)


NO_FINGERPRINT = Fingerprint(bytes(16), {})


def fingerprint(function: types.FunctionType) -> Fingerprint:
    """The fingerprint of a Python function, remembered for the life of its code and closure."""
    cells = tuple(id(c.cell_contents) for c in function.__closure__ or () if _filled(c))
    known = _fingerprint(function, function.__code__, cells)
    if not known.holds():
        _fingerprint.cache_clear()
        known = _fingerprint(function, function.__code__, cells)
    return known


@functools.lru_cache(maxsize=4096)
def _fingerprint(function: types.FunctionType, code: types.CodeType, cells: tuple[int, ...]) -> Fingerprint:
    reach = _Reach(_top(function.__module__ or ""))
    reach.function(function, root=True)
    parts = dict(sorted(reach.parts.items()))
    whole = digest(encode_value([[name, part] for name, part in parts.items()]))
    short = {name: digest(part).hex()[:8] for name, part in parts.items()}
    return Fingerprint(whole, short, reach.from_bytecode, tuple(reach.watched))


def changed_parts(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Names of what was changed, added or removed between two fingerprints.

    >>> changed_parts({"m:f": "1", "m:g": "2"}, {"m:f": "1", "m:g": "3", "m:LEVEL": "4"})
    ['m:LEVEL', 'm:g']
    """
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


# ---------------------------------------------------------------------------------------------------- what is reached
class _Reach:
    """Walks from a function to everything project-local that it names, and keeps the encoding of each."""

    def __init__(self, home: str) -> None:
        self.home = home  # top-level package of the root function: local even where it is installed
        self.parts: dict[str, bytes] = {}
        self.from_bytecode = False
        self.watched: list[tuple[dict[str, Any], str, Any]] = []

    def function(self, function: types.FunctionType, root: bool = False) -> None:
        """Reach a function object: by its source, else by its bytecode."""
        name = identity(function)
        if name in self.parts:
            return
        module = _module_of_code(function)
        node = _node_of(function, module) if module else None
        if module is None or node is None:
            self.from_bytecode = True
            self.parts[name] = _encode_bytecode(function.__code__)
            return
        if root:
            _check_unedited(function, module)
        self.parts[name] = _encode_signatureless(node) if root else encode_node(node)
        captured = self._closure(function, name)
        self._names_in(node, module, function.__globals__, skip=captured)

    def _closure(self, function: types.FunctionType, name: str) -> set[str]:
        """Functions, classes and immutable constants that a function closes over; other objects are left out."""
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
        for variable, cell in cells.items():
            if _filled(cell):
                self._object(cell.cell_contents, f"{name}.<closure>.{variable}")
        return set(cells)

    def _object(self, value: Any, name: str) -> None:
        """Reach a run-time object that no module's source defines."""
        if isinstance(value, types.FunctionType):
            if self._is_local(value.__module__ or "", value.__code__.co_filename):
                self.function(value)
        elif isinstance(value, type):
            for attribute in vars(value).values():
                if isinstance(attribute, types.FunctionType):
                    self._object(attribute, name)
        elif _is_constant(value):
            self.parts[name] = encode_value(value)

    def _names_in(self, node: ast.AST, module: _Module, namespace: dict[str, Any], skip: set[str]) -> None:
        imports = {**module.imports, **_imports_in(node, module)}
        for name, attributes in sorted(_free_names(node)):
            if name not in skip:
                self.name(module, name, attributes, imports, namespace)

    def name(
        self,
        module: _Module,
        name: str,
        attributes: tuple[str, ...],
        imports: dict[str, tuple[str, str]],
        namespace: dict[str, Any],
    ) -> None:
        """Reach a global name as seen from `module`."""
        if name in module.definitions:
            self._definition(module, name, namespace)
        elif name in imports:
            self._imported(*imports[name], attributes)
        elif name in namespace:
            self.watched.append((namespace, name, namespace[name]))
            self._object(namespace[name], f"{module.name}:{name}")
        else:
            for star in module.stars:
                self._imported(star, name, attributes)

    def _definition(self, module: _Module, name: str, namespace: dict[str, Any]) -> None:
        label = f"{module.name}:{name}"
        if label in self.parts:
            return
        nodes = module.definitions[name]
        literal, constant = _literal(nodes)
        if literal:
            value = namespace.get(name, constant)
            if name in namespace:
                self.watched.append((namespace, name, value))
            self.parts[label] = encode_value(value if _is_constant(value) else constant)
            return
        self.parts[label] = b"".join(encode_node(node) for node in nodes)
        for node in nodes:
            self._names_in(node, module, namespace, skip=set())

    def _imported(self, module_name: str, name: str, attributes: tuple[str, ...]) -> None:
        """Reach `name` of a module, or the module itself when `name` is empty."""
        while not name and attributes and _find(f"{module_name}.{attributes[0]}"):
            module_name, attributes = f"{module_name}.{attributes[0]}", attributes[1:]
        path = _find(module_name)
        if not path or not self._is_local(module_name, path):
            return
        module = _read_module(path, module_name)
        if module is None:
            return
        if not name and not attributes:
            self.parts[f"{module.name}:*"] = encode_node(module.tree)
            return
        wanted, rest = (name, attributes) if name else (attributes[0], attributes[1:])
        if wanted in module.definitions or wanted in module.imports or module.stars:
            loaded = sys.modules.get(module_name)
            self.name(module, wanted, rest, module.imports, vars(loaded) if loaded else {})
        if wanted not in module.definitions and _find(f"{module_name}.{wanted}"):
            self._imported(f"{module_name}.{wanted}", "", rest)

    def _is_local(self, module_name: str, path: str) -> bool:
        top = _top(module_name)
        if top == self.home:
            return True
        return top != "gridrun" and not _is_installed(path)


# ------------------------------------------------------------------------------------------------------------- modules
@dataclass
class _Module:
    """A module as its source says: what it defines and imports at its top level."""

    name: str
    path: str
    tree: ast.Module
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, str]]
    stars: list[str]
    newest: float


def _read_module(path: str, name: str) -> _Module | None:
    try:
        stat = os.stat(path)
    except OSError:  # a cell of a notebook
        return _parse_module(path, name, 0.0, 0)
    return _parse_module(path, name, stat.st_mtime, stat.st_size)


@functools.lru_cache(maxsize=1024)
def _parse_module(path: str, name: str, newest: float, size: int) -> _Module | None:
    linecache.checkcache(path)
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except SyntaxError:
        return None
    module = _Module(name, path, tree, {}, {}, [], newest)
    for statement in _statements(tree.body):
        for bound in _bound_by(statement):
            module.definitions.setdefault(bound, []).append(statement)
    module.imports.update(_imports_in(tree, module, nested=False))
    module.stars.extend(_stars(tree, module))
    return module


def _module_of_code(function: types.FunctionType) -> _Module | None:
    path = function.__code__.co_filename
    lines = linecache.getlines(path, function.__globals__)
    return _read_module(path, identity(function).split(":")[0]) if lines else None


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
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        targets = [statement.target]
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


def _imports_in(node: ast.AST, module: _Module, nested: bool = True) -> dict[str, tuple[str, str]]:
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


def _stars(tree: ast.Module, module: _Module) -> list[str]:
    froms = [s for s in _statements(tree.body) if isinstance(s, ast.ImportFrom)]
    return [_absolute(s, module) for s in froms if any(a.name == "*" for a in s.names)]


def _absolute(statement: ast.ImportFrom, module: _Module) -> str:
    if not statement.level:
        return statement.module or ""
    steps = module.name.split(".")
    if os.path.basename(module.path) != "__init__.py":
        steps = steps[:-1]
    base = steps[: len(steps) - statement.level + 1]
    return ".".join([*base, *([statement.module] if statement.module else [])])


@functools.lru_cache(maxsize=4096)
def _find(name: str) -> str | None:
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


def _top(module_name: str) -> str:
    return module_name.split(".")[0]


@functools.lru_cache(maxsize=4096)
def _is_installed(path: str) -> bool:
    real = os.path.realpath(path)
    standard = [os.path.realpath(sysconfig.get_path(p)) for p in ("stdlib", "platstdlib")]
    packages = any(part in ("site-packages", "dist-packages") for part in real.split(os.sep))
    return packages or any(real.startswith(folder + os.sep) for folder in standard)


# ------------------------------------------------------------------------------------------------- functions and names
def _node_of(function: types.FunctionType, module: _Module) -> ast.AST | None:
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
    return any(_encode_bytecode(c) == _encode_bytecode(code) for c in candidates)


def _free_names(node: ast.AST) -> set[tuple[str, tuple[str, ...]]]:
    """Names that `node` reads and does not bind in its own scope, each with the attributes taken from it."""
    bound = _own_names(node)
    found: set[tuple[str, tuple[str, ...]]] = set()

    def visit(part: ast.AST) -> None:
        chain: list[str] = []
        inner = part
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            if inner.id not in bound:
                found.add((inner.id, tuple(chain)))
            return
        for child in _code_children(inner):
            visit(child)

    for child in _code_children(node):
        visit(child)
    return found


def _code_children(node: ast.AST) -> Iterator[ast.AST]:
    """Child nodes that run: no annotations."""
    for name, value in ast.iter_fields(node):
        if name not in LEFT_OUT:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield child


def _own_names(node: ast.AST) -> set[str]:
    """Names that a function binds in its own scope, imports aside (those lead to other modules)."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return set()
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    bound = {a.arg for a in every if a}
    shared: set[str] = set()

    def visit(part: ast.AST) -> None:
        if isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del)):
            bound.add(part.id)
        elif isinstance(part, (ast.Global, ast.Nonlocal)):
            shared.update(part.names)
        elif isinstance(part, ast.ExceptHandler) and part.name:
            bound.add(part.name)
        if isinstance(part, SCOPES):
            bound.update([part.name] if not isinstance(part, ast.Lambda) else [])
        elif not isinstance(part, COMPREHENSIONS):
            for child in ast.iter_child_nodes(part):
                visit(child)

    for child in node.body if isinstance(node.body, list) else [node.body]:
        visit(child)
    return bound - shared


def _literal(nodes: list[ast.stmt]) -> tuple[bool, Any]:
    """Whether a name is bound once, to an immutable literal, and that literal."""
    if len(nodes) == 1 and isinstance(nodes[0], (ast.Assign, ast.AnnAssign)) and nodes[0].value is not None:
        target = nodes[0].targets[0] if isinstance(nodes[0], ast.Assign) else nodes[0].target
        if isinstance(target, ast.Name):
            try:
                value = ast.literal_eval(nodes[0].value)
            except (ValueError, TypeError):
                return False, None
            return _is_constant(value), value
    return False, None


def _is_constant(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return type(value) in (tuple, frozenset) and all(_is_constant(v) for v in value)
    return type(value) in CONSTANTS


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None or True
    except ValueError:  # a variable that is not bound yet
        return False


# ------------------------------------------------------------------------------------------------------------ encoding
def encode_node(node: Any) -> bytes:
    """A syntax tree as bytes: no positions, comments, docstrings or annotations; the same on every Python."""
    if isinstance(node, ast.AST):
        return _encode_fields(node, ast.iter_fields(_plain_assignment(node)))
    if isinstance(node, list):
        return b"[" + b"".join(encode_node(n) for n in node) + b"]"
    return encode_value(node)


def _encode_fields(node: ast.AST, fields: Any) -> bytes:
    out = [b"(", type(_plain_assignment(node)).__name__.encode()]
    for name, value in fields:
        if name in LEFT_OUT or value is None or value == []:
            continue
        if name == "value" and isinstance(node, ast.Constant):
            out.append(b" value=" + encode_value(value))
            continue
        if isinstance(node, ast.JoinedStr):  # Python 3.12 adds empty texts to format specifications
            value = [v for v in value if not (isinstance(v, ast.Constant) and v.value == "")]
        if name == "body" and isinstance(node, DOCUMENTED):
            value = value[1:] if _is_docstring(value[0]) else value
        out.append(b" " + name.encode() + b"=" + encode_node(value))
    return b"".join([*out, b")"])


def _encode_signatureless(node: ast.AST) -> bytes:
    """The root function: its decorators are ours, its parameters and defaults are the key's concern."""
    fields = [(n, v) for n, v in ast.iter_fields(node) if n not in ("decorator_list", "args", "name")]
    return _encode_fields(node, fields)


def _plain_assignment(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.Assign(targets=[node.target], value=node.value)
    return node


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _encode_bytecode(code: types.CodeType) -> bytes:
    constants = [_encode_bytecode(c) if isinstance(c, types.CodeType) else encode_value(c) for c in code.co_consts]
    names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars)]
    version = "{}.{}".format(*sys.version_info)
    return encode_value([version, code.co_code, names, constants])


def _check_unedited(function: types.FunctionType, module: _Module) -> None:
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
