"""Where a network is cut for the faults of one layer: golden values in front of it, the rest run again behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from .graph import Graph, NotTraceable, Values

# Steps that treat every image alone and give the same bits wherever it stands in a batch. Steps with an exponential
# inside (SiLU, softmax) are not among them: the last few elements of a tensor go through other code than the rest.
BATCHED = {"Conv2d", "Linear", "BatchNorm2d", "ReLU", "ReLU6", "Hardtanh", "LeakyReLU", "MaxPool2d", "AvgPool2d"}
BATCHED |= {"AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "Identity", "Dropout", "Dropout2d", "Flatten", "ZeroPad2d"}
BATCHED |= {"conv2d", "linear", "relu", "relu6", "hardtanh", "leaky_relu", "max_pool2d", "avg_pool2d"}
BATCHED |= {"adaptive_avg_pool2d", "adaptive_max_pool2d", "dropout", "add", "sub", "mul", "pad", "flatten", "view"}
BATCHED |= {"reshape", "permute", "contiguous", "size", "getattr", "unsqueeze", "squeeze", "cat", "mean", "getitem"}
# Steps that keep channels apart, so that one channel can go through them alone.
CHANNELWISE = {"BatchNorm2d", "ReLU", "ReLU6", "Hardtanh", "LeakyReLU", "Identity", "Dropout", "Dropout2d"}
CHANNELWISE |= {"MaxPool2d", "AvgPool2d", "relu", "relu6", "max_pool2d", "avg_pool2d", "dropout"}


@dataclass(frozen=True)
class Cut:
    """The plan for the faults of one weight.

    sources: the steps that read it. chain: what follows the only source and keeps channels apart, the source first.
    suffix: the steps behind the chain that depend on it, in order. boundary: golden tensors that the suffix reads.
    affected: every step that depends on the weight, the sources among them, in order.
    why: empty where survivors of several faults may share a batch; else the reason why not.
    """

    sources: tuple[fx.Node, ...]
    chain: tuple[fx.Node, ...]
    suffix: tuple[fx.Node, ...]
    boundary: tuple[fx.Node, ...]
    affected: tuple[fx.Node, ...]
    why: str = ""

    @property
    def end(self) -> fx.Node:
        return self.chain[-1]


def cut_at(graph: Graph, weight: nn.Parameter, probe: tuple[Values, Values]) -> Cut:
    """The plan for faults in `weight`; `probe` holds the values of every step for two numbers of images."""
    sources = tuple(graph.users_of(weight))
    why = _why_not_alone(graph, sources)
    affected = graph.after(sources)
    touched = tuple(n for n in graph.nodes if n in {*sources, *affected})
    if why:
        return Cut(sources, (), (), (), touched, why)
    chain = _chain(graph, sources[0], set(affected), probe[0])
    suffix = _with_sizes([n for n in affected if n not in chain], chain[-1], probe[0])
    known = {*suffix, chain[-1]}
    boundary = tuple(dict.fromkeys(n for step in suffix for n in step.all_input_nodes if n not in known))
    why = next((w for n in (*chain, *suffix) if (w := why_not_batched(graph, n, probe))), "")
    why = why or next((f"{n} is not one row an image" for n in boundary if not _rows(graph, n, probe)), "")
    return Cut(sources, tuple(chain), tuple(suffix), boundary, touched, why)


def _why_not_alone(graph: Graph, sources: tuple[fx.Node, ...]) -> str:
    if len(sources) != 1:
        return f"its weight is read by {len(sources)} steps"
    return "" if graph.kind(sources[0]) in ("Conv2d", "Linear") else f"{sources[0]} is no Conv2d or Linear module"


def _chain(graph: Graph, source: fx.Node, affected: set[fx.Node], values: Values) -> list[fx.Node]:
    chain = [source]
    while len(chain[-1].users) == 1:
        step = next(iter(chain[-1].users))
        alone = (
            graph.kind(step) in CHANNELWISE and step.all_input_nodes == [chain[-1]] and step.args[:1] == (chain[-1],)
        )
        if not alone and not _adds_golden(graph, step, chain[-1], affected, values):
            break
        if not isinstance(values[step], Tensor):
            break
        chain.append(step)
    return chain


def _adds_golden(graph: Graph, step: fx.Node, before: fx.Node, affected: set[fx.Node], values: Values) -> bool:
    """Whether `step` adds a golden map, of the same shape, to the faulty one."""
    others = [n for n in step.args if n is not before]
    plain = graph.kind(step) == "add" and not step.kwargs and len(step.args) == 2 and len(others) == 1
    if not plain or not isinstance(others[0], fx.Node) or others[0] in affected:
        return False
    return getattr(values[others[0]], "shape", None) == values[before].shape


def _with_sizes(suffix: list[fx.Node], end: fx.Node, values: Values) -> list[fx.Node]:
    """The suffix, and before it the golden steps it reads that give no tensor (sizes): they depend on the batch."""
    needed = dict.fromkeys(suffix)
    todo = list(suffix)
    while todo:
        for node in todo.pop().all_input_nodes:
            if node not in needed and node is not end and not isinstance(values[node], Tensor):
                needed[node] = None
                todo.append(node)
    extra = [node for node in values if node in needed and node not in set(suffix)]
    return [*extra, *suffix]


def why_not_batched(graph: Graph, node: fx.Node, probe: tuple[Values, Values]) -> str:
    """Why a step may not be run on images of several batches; empty where it treats each image alone."""
    kind = graph.kind(node)
    if node.op == "output":
        return ""
    if kind not in BATCHED or not _keeps_images_apart(kind, node, probe[0]):
        return f"{node} ({kind or node.op}) is not known to treat each image alone"
    if kind in ("Linear", "linear") and probe[0][node].shape[-1] == 1:
        return f"{node} gives one number an image: a product of matrix and vector, whose last rows go another way"
    has_rows = not isinstance(probe[0][node], Tensor) or _rows(graph, node, probe)
    return "" if has_rows else f"{node} is not one row an image"


def _keeps_images_apart(kind: str, node: fx.Node, values: Values) -> bool:
    if kind in ("mean", "cat"):
        dims, rank = _argument(node, 1, "dim"), values[node.all_input_nodes[0]].dim()
        return dims is not None and all(d % rank for d in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    if kind == "getitem" and isinstance(values[node.args[0]], Tensor):
        first = node.args[1][0] if isinstance(node.args[1], tuple) else node.args[1]
        return first == slice(None)
    return True


def _argument(node: fx.Node, place: int, name: str) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)


def _rows(graph: Graph, node: fx.Node, probe: tuple[Values, Values]) -> bool:
    """Whether a step gives a tensor with one row an image, or one that no image has a part in."""
    few, more = probe[0][node], probe[1][node]
    if not isinstance(few, Tensor):
        return False
    if node.op == "get_attr":
        return True
    n_few, n_more = len(probe[0][graph.input]), len(probe[1][graph.input])
    same_rest = few.shape[1:] == more.shape[1:] and few.stride()[1:] == more.stride()[1:]
    return few.dim() > 0 and (len(few), len(more)) == (n_few, n_more) and same_rest


def probe_values(graph: Graph, images: Tensor) -> tuple[Values, Values]:
    """All values of the graph for 5 and for 7 images, tensors without their data.

    What has 5 rows and then 7 has one row an image.
    """
    return _values(graph, images, 5), _values(graph, images, 7)


def _values(graph: Graph, images: Tensor, n: int) -> Values:
    values: Values = {graph.input: images[torch.arange(n, device=images.device) % len(images)]}
    shapes: Values = {graph.input: _shape(values[graph.input])}
    for i, node in enumerate(graph.nodes[1:], 1):
        try:
            values[node] = graph.run(node, values)
        except Exception as error:  # such as a batch size written into a view
            raise NotTraceable(f"step {node} fails on {n} images: {error}") from error
        shapes[node] = tree_map_only(Tensor, _shape, values[node])
        for seen in [v for v in values if graph.last_use[v] <= i]:
            del values[seen]
    return shapes


def _shape(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def bytes_per_image(graph: Graph, shapes: Values) -> float:
    """The most that the live values of a walk through the graph take, in bytes an image."""
    n, live, most = len(shapes[graph.input]), 0, 0
    for i, node in enumerate(graph.nodes):
        live += _size(shapes[node])
        most = max(most, live)
        live -= sum(_size(shapes[v]) for v in {node, *node.all_input_nodes} if graph.last_use[v] <= i)
    return most / n


def _size(value: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tree_leaves(value) if isinstance(t, Tensor))
