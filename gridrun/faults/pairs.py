"""Faults judged each on a few images of its own, with the verdicts of the naive loop on these very images.

A campaign shows every fault all images; an estimate of a rate shows each a few that were drawn for it. Golden values
are computed for the images that are used, once for the faults of all layers, and in full batches of whatever images
there are. That is exact where no image's bits depend on its batch: self-tests of every step and size say so. Where
they do not, or where a layer has no plan, the fault is set and batches are run, those of the naive loop if need be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .campaign import REFERENCE_BATCH, Campaign, surroundings
from .channel import same_bits
from .golden import GoldenWalk
from .injection import injected, weight_of
from .layer_faults import LayerFaults
from .layout import StrangeLayout, rows
from .naive import evaluating
from .pair_layers import PairLayer, full, pair_layer, safe_sizes
from .tally import outcomes
from .verdicts import Counts
from .weight_fault import WeightFault

MOST_IMAGES = 256  # whose golden values are held at once; of ResNet20's, 512 take half as long again (caches)


class Pairs:
    """Faults in the weights of `model`, each judged on some of `images` (n, ...), with `labels` (n,), if given.

    batch_size: of the naive loop whose verdicts these are. memory_mb: what golden values may take, in 10**6 bytes.
    `report` says how the verdicts come about, as a campaign's does.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        fmt: str = "fp32",
        batch_size: int | None = None,
        memory_mb: float = 1000,
    ) -> None:
        self.model, self.fmt, self.batch_size = model, fmt, batch_size or REFERENCE_BATCH
        self.images = images.to(next(model.parameters()).device)
        self.labels = None if labels is None else labels.to(self.images.device)
        sample, why = sample_of(self.images, self.batch_size)
        self.tested = Campaign(model, sample, fmt=fmt, batch_size=self.batch_size, memory_mb=memory_mb)
        self.sizes: tuple[int, ...] = ()  # of batches in which images keep their bits
        self.is_alone = torch.zeros(len(images), dtype=torch.bool, device=self.images.device)  # images that do so
        if self.tested.planner and not why:
            with evaluating(model), torch.no_grad():
                self.sizes, lengths = safe_sizes(self.tested.planner)
            full_batches = len(images) // self.batch_size * self.batch_size
            self.is_alone[:full_batches] = self.batch_size in lengths
            self.is_alone[full_batches:] = len(images) - full_batches in lengths
        self.golden = self.tested.golden.new_zeros(len(images), self.tested.golden.shape[1])
        self.is_known = torch.zeros_like(self.is_alone)  # images whose golden logits are
        self._layers: dict[str, PairLayer | None] = {}
        says = list(self.sizes) or f"the naive loop's{why and ': '}{why}"
        self.report: dict[str, Any] = {**self.tested.report, **surroundings(self.images), "batches": says}

    def counts(self, faults: Sequence[WeightFault], images: Any) -> list[Counts]:
        """The counts of each fault over its own images, numbers (faults, images), each as often as it is named."""
        number = image_numbers(images, len(faults), len(self.images)).to(self.images.device)
        image, m = number.flatten(), number.shape[1]
        with evaluating(self.model), torch.no_grad():
            values = list(self.tested._values(dict(enumerate(faults))).values())
            old = (weight_of(self.model, fault.layer)[fault.index] for fault in faults)
            rest = [n for n, before in enumerate(old) if not bool(same_bits(values[n], before))]  # others are masked
            walked = self._walked(faults, rest, self.is_alone[number])
            found = self._walk(faults, values, image, walked)
            self._know(image)
            faulty = self.golden[image]
            for places, logits in found:
                faulty[places] = logits
            for n in rest:
                places = n * m + (~walked[n]).nonzero()[:, 0]
                if len(places):
                    with injected(self.model, faults[n], self.fmt):
                        faulty[places] = self._logits(image[places])
        labels = None if self.labels is None else self.labels[image]
        judged = outcomes(self.golden[image], faulty, labels).unflatten(0, (len(faults), m)).sum(1)
        return [Counts(m, *row) for row in judged.tolist()]

    def _walked(self, faults: Sequence[WeightFault], rest: Sequence[int], is_alone: Tensor) -> Tensor:
        """Whether a pair is judged from golden values, (faults, images)."""
        ways = {layer: self._layer(layer) for layer in dict.fromkeys(faults[n].layer for n in rest)}
        walked = torch.zeros_like(is_alone)
        for n in rest:
            if ways[faults[n].layer] is not None:
                walked[n] = is_alone[n]
        return walked

    def _layer(self, layer: str) -> PairLayer | None:
        if layer not in self._layers:
            weight = weight_of(self.model, layer)
            self._layers[layer] = pair_layer(self.tested.planner, weight, self.sizes) if self.tested.planner else None
            self.report["layers"][layer] = str(self._layers[layer] or "fault by fault")
        return self._layers[layer]

    def _walk(
        self, faults: Sequence[WeightFault], values: Sequence[Tensor], image: Tensor, walked: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """(numbers of pairs, their logits) of those that a fault changes; one chunk of images after the other."""
        pairs, m = walked.flatten().nonzero()[:, 0], walked.shape[1]
        found: list[tuple[Tensor, Tensor]] = []
        for chunk in image[pairs].unique().split(self._chunk()) if len(pairs) else ():
            here = pairs[torch.isin(image[pairs], chunk)]
            layers = self._by_layer([faults[n].layer for n in (here // m).tolist()], here)
            graph = layers[0][0].graph
            walk = GoldenWalk(graph, [rows(self.images, index) for index in full(chunk, self.sizes)])
            for way, mine in layers:
                walk.advance(way.first - 1)
                which, fault = (mine // m).unique(return_inverse=True)
                struck = self._struck([faults[n] for n in which.tolist()], [values[n] for n in which.tolist()])
                at = torch.searchsorted(chunk, image[mine])
                way.run(walk, struck, fault, at, mine, lambda places, _, logits: found.append((places, logits)))
            self.golden[chunk] = walk.all(graph.output)[: len(chunk)]
            self.is_known[chunk] = True
        return found

    def _chunk(self) -> int:
        return min(self.tested.report["images_at_once"], MOST_IMAGES)

    def _by_layer(self, names: Sequence[str], pairs: Tensor) -> list[tuple[PairLayer, Tensor]]:
        """The ways of layers and their pairs, as a walk meets them; names: the layer of each pair."""
        places: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            places.setdefault(name, []).append(i)
        found = [(way, pairs[some]) for name, some in places.items() if (way := self._layer(name))]
        return sorted(found, key=lambda entry: entry[0].first)

    def _struck(self, faults: Sequence[WeightFault], values: Sequence[Tensor]) -> LayerFaults:
        """Faults of one layer; their places are their order."""
        device = self.images.device
        index = torch.tensor([fault.index for fault in faults], device=device)
        weight = weight_of(self.model, faults[0].layer)
        return LayerFaults(weight, torch.arange(len(faults), device=device), index, torch.stack(list(values)))

    def _know(self, image: Tensor) -> None:
        """See that the golden logits of these images are there."""
        missing = image[~self.is_known[image]].unique()
        self.golden[missing] = self._logits(missing)
        self.is_known[missing] = True

    def _logits(self, image: Tensor) -> Tensor:
        """What the model as it stands gives for images, numbers (n,); (n, classes)."""
        found = self.golden.new_zeros(len(image), self.golden.shape[1])
        alone = self.is_alone[image].nonzero()[:, 0]
        for places in alone.split(self.sizes[-1]) if len(alone) else ():
            (index,) = full(image[places], self.sizes)
            found[places] = self.model(rows(self.images, index))[: len(places)]
        others = (~self.is_alone[image]).nonzero()[:, 0]
        batch = image // self.batch_size
        for b in batch[others].unique().tolist():
            places = others[batch[others] == b]
            logits = self.model(self.images[b * self.batch_size : (b + 1) * self.batch_size])
            found[places] = logits[image[places] - b * self.batch_size]
        return found


def sample_of(images: Tensor, batch_size: int) -> tuple[Tensor, str]:
    """The first and the last batch of the naive loop, to be tested, and why images cannot be picked, if so.

    >>> sample_of(torch.arange(10.0)[:, None], 4)[0].flatten().tolist()
    [0.0, 1.0, 2.0, 3.0, 8.0, 9.0]
    """
    last = (len(images) - 1) // batch_size * batch_size
    numbers = [*range(min(batch_size, len(images))), *range(max(last, batch_size), len(images))]
    try:
        return rows(images, torch.tensor(numbers, device=images.device)), ""
    except StrangeLayout as error:
        return images[:batch_size], f"images of {error}"


def image_numbers(images: Any, n_faults: int, n_images: int) -> Tensor:
    """Numbers of images as a tensor (faults, images); a ValueError says what is wrong with them.

    >>> image_numbers([[0, 2]], 2, 10)
    Traceback (most recent call last):
    ValueError: image numbers of shape (1, 2) for 2 faults: want one row a fault
    """
    number = torch.as_tensor(images, dtype=torch.long)
    if number.dim() != 2 or len(number) != n_faults:
        raise ValueError(f"image numbers of shape {tuple(number.shape)} for {n_faults} faults: want one row a fault")
    wrong = number[(number < 0) | (number >= n_images)]
    if len(wrong):
        raise ValueError(f"there is no image {int(wrong[0])}: there are {n_images}, numbered from 0")
    return number
