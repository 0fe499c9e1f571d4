"""The fastest exact way for each layer: by channel, by layer, or the naive batches from the faulty layer on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from .cut import Cut, cut_at, probe_values
from .golden import GoldenWalk
from .graph import Graph
from .layer_faults import LayerFaults, by_channel, by_layer, run_affected
from .screen import WORTH, Screen, Screening, Told
from .selftest import changed_steps, channel_widths, replaced_is_golden, suffix_is_golden
from .survivors import Found, Survivors

SMALLEST = 4  # convolutions of fewer images take other kernels
WIDTHS = (4, 16, 32)  # faulty channels computed at once


@dataclass(frozen=True)
class Way:
    """How batches of one length go.

    sizes: of the batches that survivors may run in; none: they stay in their own. widths: channels at once, if any.
    """

    sizes: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        name = "channels" if self.widths else "whole layer" if self.sizes else "naive batches from the layer on"
        return f"{name} ({self.why})" if self.why else name


@dataclass
class Plan:
    """The way of one layer, for each length of batch that the images come in."""

    graph: Graph
    cut: Cut
    ways: dict[int, Way] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The position of the first step that reads the weight."""
        return self.graph.position[self.cut.sources[0]]

    @property
    def says(self) -> str:
        """For the report."""
        return "; ".join(dict.fromkeys(map(str, self.ways.values())))

    def run(
        self, walk: GoldenWalk, faults: LayerFaults, found: Found, screening: tuple[Screening, Told] | None = None
    ) -> None:
        """Tell `found` the logits of all images of `walk` that a fault may change.

        screening: judges some of them without a run, and tells how many, fault by fault.
        """
        lengths = [end - start for start, end in zip(walk.starts, walk.starts[1:])]
        for way in dict.fromkeys(self.ways[length] for length in lengths):
            batches = [b for b, length in enumerate(lengths) if self.ways[length] == way]
            if not way.sizes:
                self._in_own_batches(walk, faults, batches, found)
                continue
            survivors = Survivors(self.graph, self.cut, walk.all, way.sizes, found)
            if way.widths:
                width = next((w for w in sorted(way.widths) if w >= len(faults.places)), max(way.widths))
                screen = self._screen(walk, faults, way.sizes, found, screening)
                by_channel(self.graph, self.cut, faults, walk, batches, width, survivors, screen)
                if screen is not None:
                    screen.flush()
            else:
                by_layer(self.graph, self.cut, faults, walk, batches, survivors)
            survivors.flush()

    def _screen(
        self,
        walk: GoldenWalk,
        faults: LayerFaults,
        sizes: tuple[int, ...],
        found: Found,
        screening: tuple[Screening, Told] | None,
    ) -> Screen | None:
        if screening is None or len(faults.places) < WORTH:
            return None
        seen, told = screening
        return Screen(seen, self.graph, self.cut, walk, sizes, found, told)

    def _in_own_batches(self, walk: GoldenWalk, faults: LayerFaults, batches: list[int], found: Found) -> None:
        for place, weight in faults.weights():
            for b in batches:
                logits = run_affected(self.graph, self.cut.affected, walk, b, {faults.weight: weight})
                image = torch.arange(walk.starts[b], walk.starts[b + 1], device=logits.device)
                found(torch.full_like(image, place), image, logits)


class Planner:
    """Plans for the layers of a graph, tested on the first images, and on the last where they make a shorter batch."""

    def __init__(self, graph: Graph, images: Tensor, batch_size: int) -> None:
        self.graph = graph
        self.probe = probe_values(graph, images)
        starts = dict.fromkeys((0, (len(images) - 1) // batch_size * batch_size))
        self.samples = {len(part): part for part in (images[s : s + batch_size] for s in starts)}
        self.sizes = [s for s in (4, 8, 16, 32, 64, batch_size) if SMALLEST <= s <= batch_size]
        self.why: dict[nn.Parameter, str] = {}  # of weights without a plan
        self._changed: dict[tuple[int, int], set[fx.Node]] = {}
        self._plans: dict[nn.Parameter, Plan | None] = {}

    def plan(self, weight: nn.Parameter) -> Plan | None:
        """The plan for faults of a weight; None where there is none that gives the model's bits (see `why`)."""
        if weight not in self._plans:
            try:
                self._plans[weight] = self._planned(weight)
            except Exception as error:  # a model may hold anything; the naive loop runs it all the same
                self._plans[weight], self.why[weight] = None, f"{type(error).__name__}: {error}"
        return self._plans[weight]

    def _planned(self, weight: nn.Parameter) -> Plan | None:
        cut = cut_at(self.graph, weight, self.probe)
        if not cut.sources:
            self.why[weight] = "no step is known to read it"
            return None
        ways = {length: self._way(cut, weight, length) for length in self.samples}
        for length, way in ways.items():
            if not way.sizes and not replaced_is_golden(self.graph, cut.affected, weight, self.samples[length]):
                self.why[weight] = "a copy of the weight gives other bits"
                return None
        return Plan(self.graph, cut, ways)

    def _way(self, cut: Cut, weight: nn.Parameter, length: int) -> Way:
        if cut.why:
            return Way(why=cut.why)
        sizes = tuple(s for s in dict.fromkeys(self.sizes) if self.changed_at(length, s).isdisjoint(cut.suffix))
        if not sizes:
            return Way(why=f"an image's bits depend on its batch of {length}")
        images = self.samples[length]
        if not suffix_is_golden(self.graph, cut, images, sizes[0]):
            return Way(why="golden maps do not lead to the golden logits")
        widths = tuple(channel_widths(self.graph, cut, images, WIDTHS))
        if not widths and not replaced_is_golden(self.graph, cut.chain, weight, images):
            return Way(why="a copy of the weight gives other bits")
        return Way(sizes, widths)

    def changed_at(self, length: int, size: int) -> set[fx.Node]:
        """The steps whose bits differ between batches of `length`, as the naive loop has, and of `size`."""
        if (length, size) not in self._changed:
            self._changed[length, size] = changed_steps(self.graph, self.samples[length], size)
        return self._changed[length, size]
