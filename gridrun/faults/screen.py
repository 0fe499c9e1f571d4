"""Faults too small to change a prediction, to first order: for them the rest of the network need not run.

Let z(x) be the logits of an image, as a function of the map x where a faulty layer's chain ends, and
m = z_top - (1/b) log sum_{k != top} exp(b z_k), which is positive only while `top` is predicted (b: SHARPNESS over the
standard deviation of the image's logits). A fault moves one channel c of the map by d(h, w), and to first order m by

    |sum_hw dm/dx_c(h, w) d(h, w)|  <=  max_hw |d(h, w)| * sum_hw |dm/dx_c(h, w)|

so the prediction stands while max |d| < r_c = m / sum_hw |dm/dx_c(h, w)|. One backward pass an image gives r of every
channel, for all faults of the layer. What first order leaves out (a ReLU that opens, say) is met in three ways: only
changes below r / SAFETY, and below a share of the map's root mean square as small, are judged so; images that are not
judged run as ever; and of those that are, some run all the same, and the report says how many of them were critical.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from ..training.seeding import generator
from .cut import Cut
from .golden import GoldenWalk
from .graph import Graph
from .layout import rows
from .suffix import run_suffix
from .survivors import Found, Survivors

SAFETY = 4.0
SHARPNESS = 4.0  # 1: the other classes count alike; 100: only the second best, which another may overtake
AUDITED = 1 / 256  # of the judged pairs
WORTH = 8  # faults of a layer from which the backward pass pays
Told = Callable[[Tensor, Tensor], None]  # places of faults, how many images of each are judged non-critical


@dataclass
class Screening:
    """What became of the (fault, image) pairs of a campaign that were judged without a run.

    judged: not run; audited: run all the same; critical: how many of these were.
    """

    judged: int = 0
    audited: int = 0
    critical: int = 0
    draw: torch.Generator = field(default_factory=lambda: generator(0, "audit"), repr=False)

    def report(self) -> dict[str, int | float]:
        return {"judged": self.judged, "audited": self.audited, "critical": self.critical, "safety": SAFETY}


class Screen:
    """The screening of faults in one layer, on the images of one chunk.

    golden_logits: of the chunk, (images, classes). found: is told the logits of audited pairs. told: the judged ones.
    """

    def __init__(
        self,
        seen: Screening,
        graph: Graph,
        cut: Cut,
        walk: GoldenWalk,
        sizes: tuple[int, ...],
        found: Found,
        told: Told,
    ) -> None:
        self.seen, self.told = seen, told
        parts = [torch.arange(*ends) for ends in zip(walk.starts, walk.starts[1:])]
        self.radii = torch.cat([radii(graph, cut, walk.all, part.to(walk.all(cut.end).device)) for part in parts])
        self.golden_logits = walk.all(graph.output)
        self.found = found
        self.audit = Survivors(graph, cut, walk.all, sizes, self._audited)

    def judge(
        self, changed: Tensor, maps: Tensor, golden: Tensor, places: Tensor, outs: Tensor, first_image: int
    ) -> Tensor:
        """Which of the changed pairs (images, faults) are done with: judged non-critical, or in the audit.

        maps, golden: (images, faults, height, width), of channel `outs[j]`, with and without fault `places[j]`.
        """
        radius = self.radii[first_image : first_image + len(maps)].index_select(1, outs)
        small = changed & ((maps - golden).abs().flatten(2).amax(2) < radius)  # a NaN is not small
        drawn = small & (torch.rand(small.shape, generator=self.seen.draw) < AUDITED).to(small.device)
        self._told(places, (small & ~drawn).sum(0))
        fault, image = drawn.T.nonzero(as_tuple=True)
        if len(fault):
            self.audit.add(places[fault], image + first_image, outs[fault], maps[image, fault])
        return small

    def flush(self) -> None:
        """Run what waits in the audit."""
        self.audit.flush()

    def _told(self, places: Tensor, n: Tensor) -> None:
        self.seen.judged += int(n.sum())
        self.told(places, n)

    def _audited(self, places: Tensor, images: Tensor, logits: Tensor) -> None:
        self.seen.audited += len(places)
        self.seen.critical += int((logits.argmax(1) != self.golden_logits[images].argmax(1)).sum())
        self.found(places, images, logits)


def radii(graph: Graph, cut: Cut, golden: Callable[[fx.Node], Tensor], index: Tensor) -> Tensor:
    """How far each channel of the map at the end of the chain may move, (images, channels); 0 where none may.

    index: of the images in the golden chunk, (images,).
    """
    with torch.enable_grad():
        end = rows(golden(cut.end), index).detach().requires_grad_()
        logits = run_suffix(graph, cut, end * 1, golden, index)  # a copy, for it may be overwritten
        if logits.shape[1] < 2:  # one class is always predicted, but nothing is known of its margin
            return end.new_zeros(end.shape[:2])
        top = logits.argmax(1, keepdim=True)
        sharpness = SHARPNESS / logits.detach().std(1, keepdim=True)
        others = (sharpness * logits).scatter(1, top, float("-inf")).logsumexp(1) / sharpness[:, 0]
        margin = logits.gather(1, top)[:, 0] - others
        (slope,) = torch.autograd.grad(margin.sum(), end)
    steepness = slope.abs().flatten(2).sum(2)
    scale = end.detach().flatten(1).square().mean(1, keepdim=True).sqrt()
    return torch.minimum(margin.detach()[:, None] / steepness, scale).clamp_min(0) / SAFETY
