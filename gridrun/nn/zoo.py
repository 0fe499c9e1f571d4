"""The networks of published fault campaigns by name and data set (Bolchini and others, "Deep Neural Network Models for
Reliability Studies"), and their published weights.

>>> sum(p.numel() for p in network("ResNet20").parameters() if p.ndim > 1)
268336
>>> NETWORKS["ResNet20", "cifar10"].published_accuracy
91.5
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data import about, cifar10, cifar100, gtsrb
from ..training.seeding import generator
from .densenet import BLOCKS, DenseNet, PlainDenseNet
from .googlenet import GoogLeNet, PlainGoogLeNet
from .mobilenet import MobileNetV2
from .resnet18 import ResNet18
from .resnet_cifar import ResNetCifar
from .vgg import VGG

Colours = tuple[float, float, float]
MEAN_STD: dict[str, tuple[Colours, Colours]] = {
    "cifar10": (cifar10.MEAN, cifar10.STD),
    "cifar100": (cifar100.MEAN, cifar100.STD),
    "gtsrb": (gtsrb.MEAN, gtsrb.STD),
}


@dataclass(frozen=True)
class About:
    """A network: `make(n_classes=...)` builds it, `small` are arguments of `make` for a narrow one of the same form.

    `published_accuracy` is the top-1 accuracy in percent of the published weights; `mean` and `std` are those of the
    colours that the network was trained with.
    """

    make: Callable[..., nn.Module]
    dataset: str
    published_accuracy: float
    small: Mapping[str, object]

    @property
    def mean(self) -> Colours:
        return MEAN_STD[self.dataset][0]

    @property
    def std(self) -> Colours:
        return MEAN_STD[self.dataset][1]


_VGG = {"width": 4, "hidden": 16}
_DENSE = {"n_layers": (2, 2, 2, 2), "growth": 4}

_TABLE: dict[str, list[tuple[str, Callable[..., nn.Module], float, Mapping[str, object]]]] = {
    "cifar10": [
        ("ResNet20", partial(ResNetCifar, n_blocks=3), 91.5, {"width": 4}),
        ("ResNet32", partial(ResNetCifar, n_blocks=5), 92.3, {"width": 4}),
        ("ResNet44", partial(ResNetCifar, n_blocks=7), 92.8, {"width": 4}),
        ("ResNet56", partial(ResNetCifar, n_blocks=9), 93.3, {"width": 4}),
        ("ResNet110", partial(ResNetCifar, n_blocks=18), 93.5, {"width": 4}),
        ("MobileNetV2", MobileNetV2, 91.7, {"divisor": 8}),
        ("VGG11_bn", partial(VGG, depth=11), 91.3, _VGG),
        ("VGG13_bn", partial(VGG, depth=13), 93.8, _VGG),
        ("VGG16_bn", partial(VGG, depth=16), 93.5, _VGG),
        ("VGG19_bn", partial(VGG, depth=19), 93.2, _VGG),
        ("DenseNet121", partial(DenseNet, n_layers=BLOCKS[121]), 93.2, {**_DENSE, "start": 8}),
        ("DenseNet161", partial(DenseNet, n_layers=BLOCKS[161], growth=48, start=96), 93.1, {**_DENSE, "start": 8}),
        ("GoogLeNet", GoogLeNet, 92.2, {"divisor": 8}),
    ],
    "cifar100": [
        ("ResNet18", ResNet18, 76.2, {"width": 4}),
        ("DenseNet121", partial(PlainDenseNet, n_layers=BLOCKS[121]), 78.7, _DENSE),
        ("GoogLeNet", PlainGoogLeNet, 76.3, {"divisor": 8}),
    ],
    "gtsrb": [
        ("ResNet20", partial(ResNetCifar, n_blocks=3), 94.3, {"width": 4}),
        ("DenseNet121", partial(PlainDenseNet, n_layers=BLOCKS[121]), 96.5, _DENSE),
        ("VGG11_bn", partial(VGG, depth=11), 95.5, _VGG),
    ],
}

NETWORKS = {
    (name, dataset): About(partial(make, n_classes=about(dataset).n_classes), dataset, accuracy, small)
    for dataset, rows in _TABLE.items()
    for name, make, accuracy, small in rows
}


def find(name: str, dataset: str = "cifar10") -> About:
    """The entry of `NETWORKS`, capitals ignored; a ValueError lists the networks of the data set.

    >>> find("vgg11_BN").published_accuracy
    91.3
    """
    for (known, of), entry in NETWORKS.items():
        if (known.lower(), of) == (name.lower(), dataset):
            return entry
    names = ", ".join(known for known, of in NETWORKS if of == dataset)
    sets = ", ".join(MEAN_STD)
    raise ValueError(f"no network {name!r} for {dataset}; " + (f"there are {names}" if names else f"there are {sets}"))


def network(name: str, dataset: str = "cifar10", seed: int = 0) -> nn.Module:
    """The network with random weights drawn by `seed`, on the CPU, in eval mode; `load_weights` makes it useful."""
    return _built(find(name, dataset).make, seed).eval()


def small(name: str, dataset: str = "cifar10", seed: int = 0) -> tuple[nn.Module, tuple[int, int, int]]:
    """A narrow network of the same form, and the shape of an image for it; milliseconds an image.

    Its batch normalisation has the statistics of 32 random images and random scales, so that every layer matters.

    >>> model, shape = small("GoogLeNet")
    >>> model(torch.zeros(2, *shape)).shape
    torch.Size([2, 10])
    """
    entry = find(name, dataset)
    model = _built(partial(entry.make, **entry.small), seed)
    shape = (3, 32, 32) if name.lower().startswith("vgg") else (3, 16, 16)
    stream = generator(seed, "small", name, dataset)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=stream)
            norm.bias.normal_(0, 0.2, generator=stream)
        images = torch.randn(32, *shape, generator=stream)
        _measure(model.eval(), norms, images)
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        last.bias -= model(images).mean(0)  # no class wins for every image
    return model, shape


def _measure(model: nn.Module, norms: list[nn.BatchNorm2d], images: Tensor) -> None:
    """Set the running statistics of `norms` to those of one forward pass."""
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    model(images)
    for norm, before in zip(norms, momentum, strict=True):
        norm.eval()
        norm.momentum = before


def _built(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.device("meta"):  # no memory is written, and no random number drawn, twice
        model = make()
    model.to_empty(device="cpu")
    initialise(model, generator(seed, "initial weights"))
    return model


def initialise(model: nn.Module, stream: torch.Generator) -> None:
    """Weights normal with variance 2 / fan-in (He and others, ICCV 2015), biases 0, batch normalisation neutral."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=stream)
                if module.bias is not None:
                    module.bias.zero_()


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """The model with the weights of a published file: a state dict, or a dict with one under "state_dict" or "net".

    The prefix `module.` of parallel training is dropped. Only tensors are read (weights_only), never code. Raises
    FileNotFoundError, or ValueError that names what is missing, unexpected or of another shape; then the model is as
    it was.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights {path}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = f"{path} holds no weights that can be read without running code"
        raise ValueError(f"{why}: {_shortened(str(error))}") from error
    state = _state(found)
    if state is None:
        raise ValueError(f"{path} is no state dict of tensors, nor has it one under 'state_dict' or 'net'")
    expected = model.state_dict()
    if problems := mismatches(expected, state):
        raise ValueError(f"{path} does not fit {type(model).__name__}: " + "; ".join(problems))
    with torch.no_grad():
        for key, value in expected.items():
            if key in state:  # old files do not count batches
                value.copy_(state[key])
    return model


def _shortened(text: str) -> str:
    """What is wrong with a file, from torch's error: without its advice to run the code in the file.

    >>> _shortened("Weights only load failed. (1) ... set `weights_only` to `False`, ...: GLOBAL a.B was not allowed")
    'it needs a.B'
    """
    if name := re.search(r"GLOBAL (\S+)", text):
        return f"it needs {name[1]}"
    if not text.strip():
        return "it ends early"
    first = text.strip().splitlines()[0].split(". ")[0]
    is_told = " " in first and not first.startswith("Weights only")
    return first if is_told else "its contents are of no kind that weights have"


def _state(found: object) -> dict[str, Tensor] | None:
    for key in ("state_dict", "net"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        return None
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def mismatches(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What keeps the tensors `found` from being `expected`, in words; nothing where they fit.

    >>> mismatches({"fc.weight": torch.zeros(2, 3)}, {"fc.weight": torch.zeros(3, 2), "fc.scale": torch.zeros(1)})
    ['unexpected fc.scale', 'fc.weight is (3, 2), not (2, 3)']
    """
    missing = [key for key in expected if key not in found and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in found if key not in expected]
    shapes = [
        f"{key} is {tuple(found[key].shape)}, not {tuple(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    return [*_listed("missing", missing), *_listed("unexpected", unexpected), *shapes[:5], *_more(shapes[5:])]


def _listed(what: str, keys: list[str]) -> list[str]:
    return [f"{what} {', '.join(keys[:5])}", *_more(keys[5:])] if keys else []


def _more(rest: list[str]) -> list[str]:
    return [f"and {len(rest)} more"] if rest else []
