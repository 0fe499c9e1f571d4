"""A network of the zoo on the command line: -n NAME -d DATASET, its weights file and the folder of the data."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..nn.zoo import About

Function = TypeVar("Function", bound=Callable[..., Any])

SOURCE = "https://github.com/cad-polito-it/dnn-benchmarks"
SUFFIXES = (".th", ".pt", ".pth")
PATH = click.Path(path_type=Path)


def named(function: Function) -> Function:
    """-n and -d, as parameters `name` and `dataset`; one letter each, as in the published benchmark."""
    network = click.option(
        "-n", "--network", "--network-name", "name", required=True, metavar="NAME", help="As ResNet20, VGG11_bn."
    )
    dataset = click.option(
        "-d", "--dataset", default="cifar10", show_default=True, metavar="NAME", help="Or cifar100, gtsrb."
    )
    return network(dataset(function))


def placed(function: Function) -> Function:
    """--weights and --data-dir, as parameters `weights` and `data_dir`."""
    weights = click.option("-weights", "--weights", type=PATH, metavar="FILE", help="Of the network.")
    data_dir = click.option(
        "-data-dir", "--data-dir", type=PATH, metavar="DIR", help="[default: $GRIDRUN_DATA, or data]"
    )
    return weights(data_dir(function))


def on_gpu(function: Function) -> Function:
    """--use-cuda, as parameter `use_cuda`; see device_of."""
    return click.option("-use-cuda", "--use-cuda", is_flag=True, help="On the GPU, without TF32.")(function)


def device_of(use_cuda: bool) -> str:
    """cpu or cuda. Raises UsageError where there is no GPU."""
    import torch

    if use_cuda and not torch.cuda.is_available():
        raise UsageError("--use-cuda: no GPU that torch can use; leave it out for the CPU")
    return "cuda" if use_cuda else "cpu"


class Network(NamedTuple):
    """What was named: spelt as the zoo does, its entry there, and where its files are."""

    name: str
    dataset: str
    entry: About
    weights: Path
    data_dir: Path

    @classmethod
    def find(cls, name: str, dataset: str, weights: Path | None, data_dir: Path | None) -> Network:
        """From the values of `named` and `placed`. UsageError for a network, or a file of its weights, there is not."""
        from ..data.folders import data_folder
        from ..nn import zoo

        dataset, folder = spelt(dataset), data_folder(data_dir)
        entry = entry_of(name, dataset)
        known = next(known for (known, _), about in zoo.NETWORKS.items() if about is entry)
        return cls(known, dataset, entry, weights or find_weights(folder / "weights", known, dataset), folder)


def spelt(dataset: str) -> str:
    """The name of a data set as gridrun writes it.

    >>> spelt("CIFAR-10")
    'cifar10'
    """
    return dataset.lower().replace("-", "")


def entry_of(name: str, dataset: str) -> About:
    """The zoo's entry; a UsageError lists the networks there are."""
    from ..nn import zoo
    from ..tasks.settings import mendable

    with mendable():
        return zoo.find(name, dataset)


def find_weights(folder: Path, name: str, dataset: str) -> Path:
    """The file of a network's weights, capitals ignored; an error says where they were looked for."""
    end = f"(_{dataset}|-[0-9a-f]{{8}})?" if dataset == "cifar10" else f"_{dataset}"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix in SUFFIXES and re.fullmatch(re.escape(name) + end, path.stem, re.IGNORECASE):
            return path
    raise UsageError(
        f"no weights of {name} for {dataset} in {folder.resolve()}: take them from {SOURCE} and give --weights FILE"
    )
