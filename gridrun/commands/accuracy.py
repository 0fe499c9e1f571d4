"""gridrun accuracy: the clean inference of a published network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .. import __version__
from ._bar import Bar
from ._fetch import fetch
from ._network import Network, device_of, named, on_gpu, placed

if TYPE_CHECKING:
    from torch import Tensor, nn

EPILOG = """\b
Examples:
  gridrun accuracy -n ResNet20 -d cifar10 -b 64
  gridrun accuracy -n VGG11_bn -d gtsrb --use-cuda --weights Vgg11_bn_GTSRB.pt
  gridrun accuracy -n ResNet20 --data-dir ~/data --download

Weights are looked for in weights/ of the data folder as NAME_DATASET.*, for cifar10 also as NAME.* or as akamaster's
resnet20-12fca82f.*, with .th, .pt or .pth; https://github.com/cad-polito-it/dnn-benchmarks publishes them.
Logits are kept as sessions/accuracy/*.npy, and beside each a .json that says how they were obtained.
"""
CONFIDENCE = 0.99


class Outcome(NamedTuple):
    """How many of the test images are classified right, and the top-1 accuracy's Wilson interval, in 0..1."""

    n_correct: int
    n_images: int
    low: float
    high: float


@click.command("accuracy", short_help="Classify the test images with a published network.", epilog=EPILOG)
@named
@click.option("-b", "--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images at a time.")
@on_gpu
@placed
@click.option("-download", "--download", "is_asked_to_fetch", is_flag=True, help="Fetch the data set if it is absent.")
def command(
    name: str,
    dataset: str,
    batch_size: int,
    use_cuda: bool,
    weights: Path | None,
    data_dir: Path | None,
    is_asked_to_fetch: bool,
) -> None:
    """Accuracy of a published network on all test images of its data set, top-1, with a 99 % Wilson interval."""
    from ..nn import zoo
    from ..tasks.settings import mendable, without_tf32

    device = device_of(use_cuda)
    network = Network.find(name, dataset, weights, data_dir)
    with mendable():
        model = zoo.load_weights(zoo.network(network.name, network.dataset), network.weights)
    images, labels = images_of(network.dataset, data_dir, is_asked_to_fetch)
    begin = time.monotonic()
    with without_tf32():
        logits = infer(model.to(device), images, batch_size, device, network.name)
    seconds = time.monotonic() - begin
    outcome = judged(logits, labels)
    how = {
        "network": network.name,
        "dataset": network.dataset,
        "weights": str(network.weights.resolve()),
        "weights_sha256": hashlib.sha256(network.weights.read_bytes()).hexdigest(),
        "mean": network.entry.mean,
        "std": network.entry.std,
        "batch_size": batch_size,
        **outcome._asdict(),
        "confidence": CONFIDENCE,
        "seconds": round(seconds, 3),
        **conditions(device),
    }
    kept = keep(logits, how)
    published = network.entry.published_accuracy
    click.echo(f"{network.name} on {network.dataset}: {in_words(outcome)}; published {published} %")
    click.echo(f"{len(images) / seconds:,.0f} images/s on {device}; outputs in {kept}")


def images_of(dataset: str, data_dir: Path | None, is_asked_to_fetch: bool) -> tuple[Tensor, Tensor]:
    """Test images and labels, fetched first where they are absent and it was asked for."""
    from ..data import test_images
    from ..tasks.settings import MissingData, mendable

    try:
        with mendable():
            return test_images(dataset, data_dir)
    except MissingData as absent:
        if not is_asked_to_fetch:
            raise MissingData(f"{absent}; or add --download") from absent
    fetch(dataset, data_dir)
    with mendable():
        return test_images(dataset, data_dir)


def infer(model: nn.Module, images: Tensor, batch_size: int, device: str, name: str) -> Tensor:
    """Logits (images, classes) on the CPU, in batches."""
    import torch

    parts: list[Tensor] = []
    n = 0
    with torch.inference_mode(), Bar(name, len(images), "images") as bar:
        for batch in images.split(batch_size):
            parts.append(model(batch.to(device)).cpu())
            bar.to(n := n + len(batch))
    return torch.cat(parts)


def judged(logits: Tensor, labels: Tensor) -> Outcome:
    """Counts and interval of the top-1 accuracy."""
    from ..faults.intervals import wilson

    n_correct = int((logits.argmax(1) == labels).sum())
    return Outcome(n_correct, len(labels), *wilson(n_correct, len(labels), CONFIDENCE))


def in_words(outcome: Outcome) -> str:
    """The accuracy for people.

    >>> in_words(Outcome(9148, 10_000, 0.9073, 0.9217))
    '91.48 % (9,148 of 10,000 right; 90.73 to 92.17 % at 99 %)'
    """
    n_correct, n, low, high = outcome
    return (
        f"{100 * n_correct / n:.2f} % ({n_correct:,} of {n:,} right; "
        f"{100 * low:.2f} to {100 * high:.2f} % at {100 * CONFIDENCE:.0f} %)"
    )


def conditions(device: str) -> dict[str, Any]:
    """What else decides the last bits of the logits."""
    import torch

    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {"device": device, **gpu, "threads": torch.get_num_threads(), "torch": torch.__version__, "tf32": False} | {
        "gridrun": __version__
    }


def keep(logits: Tensor, how: dict[str, Any]) -> Path:
    """Write the logits, and beside them how they were obtained, under sessions/accuracy; the first file's path."""
    import numpy as np

    from ..files import make_folder, write_whole
    from ..study import default_store

    folder = Path(default_store()) / "accuracy"
    make_folder(folder)
    path = folder / f"{how['network']}-{how['dataset']}-{how['weights_sha256'][:8]}-{how['device']}.npy"
    buffer = io.BytesIO()
    np.save(buffer, logits.numpy(), allow_pickle=False)
    data = buffer.getvalue()
    write_whole(path, data)
    how = {**how, "logits": path.name, "logits_sha256": hashlib.sha256(data).hexdigest()}
    write_whole(path.with_suffix(".json"), (json.dumps(how, indent=2) + "\n").encode())
    return Path(os.path.relpath(path))
