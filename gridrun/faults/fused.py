"""A network in faster arithmetic: batch normalisation folded into convolutions, channels last in memory.

Not the bits of the network itself: logits differ in the last places, and with them a prediction here and there.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .graph import Graph


@torch.no_grad()
def fused(model: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    """(a copy of `model`, in eval mode, with the same module paths; by layer, the factors of its output channels).

    A weight w of output channel o has become w * factors[layer][o]. Raises NotTraceable for a model without a graph.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    >>> model[1].running_var.fill_(4.0)
    tensor([4., 4.])
    >>> network, factors = fused(model)
    >>> factors["0"], bool((network[0].weight / model[0].weight).allclose(factors["0"].view(2, 1, 1, 1)))
    (tensor([0.5000, 0.5000]), True)
    """
    network = copy.deepcopy(model).eval()
    graph = Graph(network)
    paths = {module: path for path, module in network.named_modules()}
    factors = {}
    for conv, norm in [pair for node in graph.nodes if (pair := _pair(graph, node))]:
        weight = 1.0 if norm.weight is None else norm.weight
        factors[paths[conv]] = weight * torch.rsqrt(norm.running_var + norm.eps)
        network.set_submodule(paths[conv], fuse_conv_bn_eval(conv, norm))
        network.set_submodule(paths[norm], nn.Identity())
    return network.to(memory_format=torch.channels_last), factors


def _pair(graph: Graph, node: fx.Node) -> tuple[nn.Module, nn.Module] | None:
    """A convolution and the normalisation of its result alone, each called once."""
    if graph.kind(node) != "BatchNorm2d":
        return None
    before = node.all_input_nodes[0]
    if graph.kind(before) != "Conv2d" or len(before.users) != 1:
        return None
    conv, norm = graph.modules[str(before.target)], graph.modules[str(node.target)]
    once = len(graph.users_of(conv.weight)) == 1 == sum(graph.module(n) is norm for n in graph.nodes)
    return (conv, norm) if once and norm.running_var is not None else None
