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
import sys
import types
from dataclasses import dataclass, field
from typing import Any

from .hashing import digest, encode_value
from .identity import identity, module_name
from .sources import (
    Module,
    check_unedited,
    class_source,
    code_module,
    find_file,
    imports_in,
    is_installed,
    module_of,
    node_of,
    read_module,
    top_package,
)
from .syntax import encode_bytecode, encode_node, encode_root, free_names, is_constant, literal_of


@dataclass(frozen=True)
class Fingerprint:
    """`digest` (16 bytes) over `parts`: what was reached, by name, each with its own short digest."""

    digest: bytes
    parts: dict[str, str] = field(compare=False)
    from_bytecode: bool = False
    watched: tuple[tuple[dict[str, Any], str, Any], ...] = field(default=(), compare=False, repr=False)

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
    reach = _Reach(top_package(function.__module__ or ""))
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
        self.seen: set[int] = set()
        self.from_bytecode = False
        self.watched: list[tuple[dict[str, Any], str, Any]] = []

    def function(self, function: types.FunctionType, root: bool = False) -> None:
        """Reach a function object: by its source, else by its bytecode; what it wraps first."""
        if id(function) in self.seen:
            return
        self.seen.add(id(function))
        wrapped = getattr(function, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            self.function(wrapped, root)
            root = False
        name = self._label(identity(function))
        if not self._is_local(code_module(function), function.__code__.co_filename):
            self._closure(function, name)
            return
        module = module_of(function)
        node = node_of(function, module) if module else None
        if module is None or node is None:
            self.from_bytecode = True
            self.parts[name] = encode_bytecode(function.__code__)
            return
        if root:
            check_unedited(function, module)
        self.parts[name] = encode_root(node) if root else encode_node(node)
        captured = self._closure(function, name)
        self._names_in(node, module, function.__globals__, skip=captured)

    def _label(self, name: str) -> str:
        """`name`, with a number if another function is already called so (a decorator's, say)."""
        label, number = name, 1
        while label in self.parts:
            number += 1
            label = f"{name}~{number}"
        return label

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
            self._class(value, name)
        elif is_constant(value):
            self.parts[name] = encode_value(value)

    def _class(self, value: type, name: str) -> None:
        """Reach a class object: its source, its constants as they are now, and its methods."""
        found = class_source(value)
        if found is None or id(value) in self.seen or not self._is_local(module_name(value), found[0].path):
            return
        self.seen.add(id(value))
        module, node = found
        label = self._label(identity(value))
        constants = {k: v for k, v in vars(value).items() if not k.startswith("__") and is_constant(v)}
        self.parts[label] = encode_node(node) + encode_value(constants)
        loaded = sys.modules.get(value.__module__)
        self._names_in(node, module, vars(loaded) if loaded else {}, skip=set())
        for attribute in vars(value).values():
            self._object(attribute, f"{name}.{label}")

    def _names_in(self, node: ast.AST, module: Module, namespace: dict[str, Any], skip: set[str]) -> None:
        imports = {**module.imports, **imports_in(node, module)}
        for name, attributes in sorted(free_names(node)):
            if name not in skip:
                self.name(module, name, attributes, imports, namespace)

    def name(
        self,
        module: Module,
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
        elif name in namespace and not (name.startswith("__") and name.endswith("__")):
            self.watched.append((namespace, name, namespace[name]))
            self._object(namespace[name], f"{module.name}:{name}")
        else:
            for star in module.stars:
                self._imported(star, name, attributes)

    def _definition(self, module: Module, name: str, namespace: dict[str, Any]) -> None:
        label = f"{module.name}:{name}"
        if label in self.parts:
            return
        nodes = module.definitions[name]
        literal, constant = literal_of(nodes)
        if literal:
            value = namespace.get(name, constant)
            if name in namespace:
                self.watched.append((namespace, name, value))
            self.parts[label] = encode_value(value if is_constant(value) else constant)
            return
        self.parts[label] = b"".join(encode_node(node) for node in nodes)
        for node in nodes:
            self._names_in(node, module, namespace, skip=set())

    def _imported(self, module_name: str, name: str, attributes: tuple[str, ...]) -> None:
        """Reach `name` of a module, or the module itself when `name` is empty."""
        while not name and attributes and find_file(f"{module_name}.{attributes[0]}"):
            module_name, attributes = f"{module_name}.{attributes[0]}", attributes[1:]
        path = find_file(module_name)
        if not path or not self._is_local(module_name, path):
            return
        module = read_module(path, module_name)
        if module is None:
            return
        if not name and not attributes:
            self.parts[f"{module.name}:*"] = encode_node(module.tree)
            return
        wanted, rest = (name, attributes) if name else (attributes[0], attributes[1:])
        if wanted in module.definitions or wanted in module.imports or module.stars:
            loaded = sys.modules.get(module_name)
            self.name(module, wanted, rest, module.imports, vars(loaded) if loaded else {})
        if wanted not in module.definitions and find_file(f"{module_name}.{wanted}"):
            self._imported(f"{module_name}.{wanted}", "", rest)

    def _is_local(self, module_name: str, path: str) -> bool:
        top = top_package(module_name)
        if top == self.home:
            return True
        return top != "gridrun" and not is_installed(path)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None or True
    except ValueError:  # a variable that is not bound yet
        return False
