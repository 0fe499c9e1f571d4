"""A model as a list of steps without side effects: what depends on which weight, and what can be run again.

torch.fx writes the list (`symbolic_trace`'s tracer). In-place steps are run out of place, which gives the same
numbers when nothing reads the overwritten value later; a model where something may, or that cannot be traced,
raises `NotTraceable`, and its campaign takes the naive way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.nn import functional as F

Values = dict[fx.Node, Any]

OUT_OF_PLACE: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    torch.relu_: torch.relu,
    F.relu_: F.relu,
}
METHODS_IN_PLACE = {"relu_": "relu", "add_": "add", "sub_": "sub", "mul_": "mul", "div_": "div", "clamp_": "clamp"}
# Steps whose result is always new memory; others may hand on a view of what they were given.
FRESH = {"Conv2d", "Linear", "BatchNorm2d", "BatchNorm1d", "MaxPool2d", "AvgPool2d", "ReLU", "ReLU6"}
FRESH |= {"conv2d", "linear", "batch_norm", "relu", "max_pool2d", "avg_pool2d", "add", "mul", "cat", "pad"}


class NotTraceable(ValueError):
    """The model has no graph that can be run in parts; the message says why."""


class _OneInput(nn.Module):
    """The model called with images alone, so that further parameters keep their defaults."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        return self.model(images)


class Graph:
    """The steps of `model`, in the order in which it runs them."""

    def __init__(self, model: nn.Module) -> None:
        self.root = _OneInput(model)
        try:
            graph = fx.Tracer().trace(self.root)
        except Exception as error:  # whatever a model's own code raises on a stand-in for its images
            raise NotTraceable(f"torch.fx cannot trace it: {error}") from error
        self.nodes: list[fx.Node] = list(graph.nodes)
        self.position = {node: i for i, node in enumerate(self.nodes)}
        self.modules = dict(self.root.named_modules(remove_duplicate=False))
        self.input, self.output = self.nodes[0], self.nodes[-1]
        for node in self.nodes:
            self._check(node)
        self.last_use = {n: max((self.position[u] for u in n.users), default=i) for n, i in self.position.items()}

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that a step calls; None for functions and methods."""
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def kind(self, node: fx.Node) -> str:
        """`Conv2d`, `relu`, `add`: the class of a module of torch, the name of a function or method.

        Empty for modules that are not what their class says: with hooks, or normalising by the batch at hand.
        """
        if node.op == "call_module":
            return _kind(self.modules[str(node.target)])
        if node.op == "call_function":
            return str(getattr(OUT_OF_PLACE.get(node.target, node.target), "__name__", ""))
        return METHODS_IN_PLACE.get(str(node.target), str(node.target)) if node.op == "call_method" else ""

    def users_of(self, weight: nn.Parameter) -> list[fx.Node]:
        """The steps that read this very parameter, under whatever name."""
        return [node for node in self.nodes if self._reads(node, weight)]

    def after(self, sources: Iterable[fx.Node]) -> list[fx.Node]:
        """Every step that depends on `sources`, without them, in order."""
        touched = set(sources)
        for node in self.nodes:
            if not touched.isdisjoint(node.all_input_nodes):
                touched.add(node)
        return [node for node in self.nodes if node in touched.difference(sources)]

    def run(self, node: fx.Node, values: Values, replaced: Mapping[nn.Parameter, Tensor] | None = None) -> Any:
        """What one step gives; `replaced` stands in for parameters, which are never written."""
        if node.op == "get_attr":
            value = _attribute(self.root, str(node.target))
            return (replaced or {}).get(value, value) if isinstance(value, nn.Parameter) else value
        if node.op == "output":
            return values[node.args[0]]
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        if node.op == "call_module":
            return _call(self.modules[str(node.target)], args, kwargs, replaced or {})
        if node.op == "call_method":
            name = METHODS_IN_PLACE.get(str(node.target), str(node.target))
            return getattr(args[0], name)(*args[1:], **kwargs)
        if kwargs.get("inplace"):
            kwargs = {**kwargs, "inplace": False}
        return OUT_OF_PLACE.get(node.target, node.target)(*args, **kwargs)

    def _reads(self, node: fx.Node, weight: nn.Parameter) -> bool:
        if node.op == "get_attr":
            return _attribute(self.root, str(node.target)) is weight
        module = self.module(node)
        return module is not None and any(p is weight for p in module.parameters())

    def _check(self, node: fx.Node) -> None:
        if node.op == "placeholder" and node is not self.input:
            raise NotTraceable(f"a second input {node}")
        if node.op == "output" and not isinstance(node.args[0], fx.Node):
            raise NotTraceable("it does not return one tensor")
        if node.op == "get_attr" and "_tensor_constant" in str(node.target):
            raise NotTraceable(f"{node} is a constant made while tracing, perhaps from a weight")
        if self._overwrites(node):
            self._check_overwritten(node)

    def _overwrites(self, node: fx.Node) -> bool:
        name = getattr(node.target, "__name__", str(node.target))
        if node.op == "call_module":
            return bool(getattr(self.module(node), "inplace", False))
        if node.op not in ("call_method", "call_function"):
            return False
        known = node.target in OUT_OF_PLACE or node.target in METHODS_IN_PLACE or bool(node.kwargs.get("inplace"))
        if not known and ("out" in node.kwargs or (name.endswith("_") and not name.endswith("__"))):
            raise NotTraceable(f"{node} may overwrite what it is given")
        return known

    def _check_overwritten(self, node: fx.Node) -> None:
        """Nothing may read, after `node`, what it overwrites, or anything that shares memory with it."""
        seen: set[fx.Node] = set()
        todo = [node.all_input_nodes[0]]
        while todo:
            shared = todo.pop()
            seen.add(shared)
            if shared is self.input:
                raise NotTraceable(f"{node} overwrites the images")
            if any(self.position[user] > self.position[node] for user in shared.users):
                raise NotTraceable(f"{node} overwrites {shared}, which is read again")
            views = [n for n in shared.users if n is not node and not self.is_fresh(n)]
            origins = [] if self.is_fresh(shared) else shared.all_input_nodes
            todo += [n for n in (*views, *origins) if n not in seen]

    def is_fresh(self, node: fx.Node) -> bool:
        """Whether the result of a step is new memory, shared with nothing."""
        return self.kind(node) in FRESH and not self._overwrites(node)


def _attribute(root: nn.Module, path: str) -> Any:
    value: Any = root
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _call(module: nn.Module, args: Any, kwargs: Any, replaced: Mapping[nn.Parameter, Tensor]) -> Any:
    if getattr(module, "inplace", False):
        args = (args[0].clone(), *args[1:])
    here = {name: replaced[p] for name, p in module.named_parameters(remove_duplicate=False) if p in replaced}
    return functional_call(module, here, args, kwargs) if here else module(*args, **kwargs)


def _kind(module: nn.Module) -> str:
    hooked = module._forward_hooks or module._forward_pre_hooks
    by_batch = getattr(module, "running_mean", 0) is None
    own = not type(module).__module__.startswith("torch.nn.modules")
    return "" if hooked or by_batch or own else type(module).__name__
