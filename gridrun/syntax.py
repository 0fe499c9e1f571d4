"""Syntax trees as bytes, and the names they read: the same on every supported Python."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator
from typing import Any

from .hashing import encode_value

CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type(...))
LEFT_OUT = {"ctx", "kind", "type_comment", "type_ignores", "returns", "annotation", "type_params"}
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


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


def encode_root(node: ast.AST) -> bytes:
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


def encode_bytecode(code: types.CodeType) -> bytes:
    constants = [encode_bytecode(c) if isinstance(c, types.CodeType) else encode_value(c) for c in code.co_consts]
    names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars)]
    version = "{}.{}".format(*sys.version_info)
    return encode_value([version, code.co_code, names, constants])


def free_names(node: ast.AST) -> set[tuple[str, tuple[str, ...]]]:
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


def literal_of(nodes: list[ast.stmt]) -> tuple[bool, Any]:
    """Whether a name is bound once, to an immutable literal, and that literal."""
    if len(nodes) == 1 and isinstance(nodes[0], (ast.Assign, ast.AnnAssign)) and nodes[0].value is not None:
        target = nodes[0].targets[0] if isinstance(nodes[0], ast.Assign) else nodes[0].target
        if isinstance(target, ast.Name):
            try:
                value = ast.literal_eval(nodes[0].value)
            except (ValueError, TypeError):
                return False, None
            return is_constant(value), value
    return False, None


def is_constant(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return type(value) in (tuple, frozenset) and all(is_constant(v) for v in value)
    return type(value) in CONSTANTS
