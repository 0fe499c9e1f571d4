"""A fault campaign with the counts of the naive loop, bit for bit, in a fraction of its time.

For faults in one layer, everything before it is computed once for all faults; of a convolution, only the one output
channel that a fault can change is computed again; images whose map is then the golden one to the last bit are done;
the others go on, those of several faults together in one batch. Nothing is ever written into the model.

That is `arithmetic="exact"`. Two others are faster still, and their critical counts may differ by an image here and
there: "screened" does not run images whose prediction a fault cannot change to first order (see `screen`), and "fused"
does so in a network with its normalisation folded in, channels last (see `fused`). In both, masked is a lower bound:
images whose map is unchanged right behind the faulty layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .bits import int8_scale
from .channel import same_bits
from .cut import bytes_per_image
from .fused import fused
from .golden import GoldenWalk
from .graph import Graph, NotTraceable
from .injection import checked, faulty_weight, weight_of
from .layer_faults import LayerFaults
from .naive import evaluating, logits_of, naive_counts
from .plan import Plan, Planner
from .screen import Screening
from .selftest import same_as_model
from .tally import Tally
from .verdicts import Counts
from .weight_fault import WeightFault

ARITHMETICS = ("exact", "screened", "fused")
REFERENCE_BATCH = 64
MOST_BATCHES = 16  # of golden values held at once; more save nothing
FAULTS_AT_ONCE = 4096  # counts are given out after so many


class Campaign:
    """Faults in the weights of `model`, judged on `images` (n, ...) with `labels` (n,), if given.

    arithmetic: one of ARITHMETICS. batch_size: of the naive loop whose counts these are (64 by default), and of most
    batches here. memory_mb: what golden values may take, in 10**6 bytes. `report` says how the counts come about, and
    of each layer the way taken and why no faster one.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        fmt: str = "fp32",
        arithmetic: str = "exact",
        batch_size: int | None = None,
        memory_mb: float = 1000,
    ) -> None:
        if arithmetic not in ARITHMETICS:
            raise ValueError(f"no arithmetic {arithmetic!r}; there is {', '.join(ARITHMETICS)}")
        if not len(images) or (batch_size is not None and batch_size < 1):
            raise ValueError(f"{len(images)} images in batches of {batch_size}: want one at least of both")
        self.model, self.fmt = model, fmt
        self.images = images.to(next(model.parameters()).device)
        self.labels = None if labels is None else labels.to(self.images.device)
        self.batch_size = batch_size or REFERENCE_BATCH
        self.screening: Screening | None = None
        with evaluating(model), torch.inference_mode(False), torch.no_grad():
            self.network, self.factors = self._network(arithmetic)
            self.report: dict[str, Any] = {**surroundings(self.images), "arithmetic": arithmetic, "layers": {}}
            self.golden = logits_of(self.network, self.images, self.batch_size)
            self.planner = self._planner(memory_mb)

    @torch.inference_mode(False)
    @torch.no_grad()
    def counts(self, faults: Iterable[WeightFault]) -> Iterator[tuple[int, Counts]]:
        """(number of the fault in the list, its counts over all images), in any order."""
        todo = dict(enumerate(faults))
        if self.report["arithmetic"] != "exact":
            self.screening = Screening()  # which pairs are audited does not depend on lists before
            self.report["screened"] = self.screening.report()
        with evaluating(self.model):
            values = self._values(todo)
            proven = [n for n, f in todo.items() if same_bits(values[n], weight_of(self.model, f.layer)[f.index])]
            tally = Tally(self.golden, self.labels, proven)
            yield from ((n, tally.counts(n)) for n in proven)
            rest = [n for n in todo if n not in tally.place]
            plans = {layer: self._plan(layer) for layer in dict.fromkeys(todo[n].layer for n in rest)}
            yield from self._naive({n: todo[n] for n in rest if plans[todo[n].layer] is None})
            cuts = {layer: plan for layer, plan in plans.items() if plan}
            fast = [n for n in rest if todo[n].layer in cuts]
            fast.sort(key=lambda n: (cuts[todo[n].layer].first, todo[n]))
            for start in range(0, len(fast), FAULTS_AT_ONCE):
                yield from self._together(fast[start : start + FAULTS_AT_ONCE], todo, values, cuts)

    def _network(self, arithmetic: str) -> tuple[nn.Module, dict[str, Tensor]]:
        """The network to run, and the factors of its weights where they are not the model's own."""
        if arithmetic != "fused":
            return self.model, {}
        if self.images.dim() == 4:
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        try:
            return fused(self.model)
        except NotTraceable:  # the planner will say so
            return self.model, {}

    def _planner(self, memory_mb: float) -> Planner | None:
        try:
            graph = Graph(self.network)
            first = self.images[: self.batch_size]
            if not same_as_model(graph, first, self.golden[: self.batch_size]):
                raise NotTraceable("its graph gives other logits than the model")
            planner = Planner(graph, self.images, self.batch_size)
        except NotTraceable as error:
            self.report["fall_back"] = f"naive loop: {error}"
            return None
        spare = memory_mb * 1e6 / max(bytes_per_image(graph, planner.probe[0]), 1) / 2  # as much again while it runs
        n_batches = min(max(int(spare / self.batch_size), 1), MOST_BATCHES)
        self.report["images_at_once"] = n_batches * self.batch_size
        return planner

    def _plan(self, layer: str) -> Plan | None:
        weight = weight_of(self.network, layer)
        plan, why = None, ""
        if self.planner and isinstance(weight, nn.Parameter):
            plan, why = self.planner.plan(weight), self.planner.why.get(weight, "")
        self.report["layers"].setdefault(layer, plan.says if plan else f"naive loop ({why})" if why else "naive loop")
        return plan

    def _values(self, faults: dict[int, WeightFault]) -> dict[int, Tensor]:
        """The faulty value of each fault; an error names the first fault that cannot be."""
        weights = {layer: weight_of(self.model, layer) for layer in {f.layer for f in faults.values()}}
        scales = {layer: int8_scale(w) if self.fmt == "int8" else None for layer, w in weights.items()}
        return {
            n: faulty_weight(weights[f.layer], checked(f, weights[f.layer], self.fmt), self.fmt, scales[f.layer])
            for n, f in faults.items()
        }

    def _naive(self, faults: dict[int, WeightFault]) -> Iterator[tuple[int, Counts]]:
        if faults:
            found = naive_counts(self.model, self.images, faults.values(), self.batch_size, self.labels, self.fmt)
            yield from zip(faults, found, strict=True)

    def _together(
        self, numbers: Sequence[int], faults: dict, values: dict[int, Tensor], plans: dict[str, Plan]
    ) -> Iterator[tuple[int, Counts]]:
        tally = Tally(self.golden, self.labels, numbers)
        layers = [(plans[layer], faults_of) for layer, faults_of in self._by_layer(numbers, faults, values, tally)]
        screening = (self.screening, tally.non_critical) if self.screening else None
        step = self.report["images_at_once"]
        for start in range(0, len(self.images), step):
            walk = GoldenWalk(layers[0][0].graph, self.images[start : start + step].split(self.batch_size))
            for plan, some in layers:
                walk.advance(plan.first - 1)
                plan.run(walk, some, partial(tally.add, first_image=start), screening)
        if self.screening:
            self.report["screened"] = self.screening.report()
        yield from ((n, tally.counts(n)) for n in numbers)

    def _by_layer(
        self, numbers: Sequence[int], faults: dict, values: dict[int, Tensor], tally: Tally
    ) -> Iterator[tuple[str, LayerFaults]]:
        for layer in dict.fromkeys(faults[n].layer for n in numbers):
            mine = [n for n in numbers if faults[n].layer == layer]
            device = self.images.device
            index = torch.tensor([faults[n].index for n in mine], device=device)
            faulty = torch.stack([values[n] for n in mine])
            if layer in self.factors:
                faulty = faulty * self.factors[layer][index[:, 0]]
            places = torch.tensor([tally.place[n] for n in mine], device=device)
            yield layer, LayerFaults(weight_of(self.network, layer), places, index, faulty)


def surroundings(images: Tensor) -> dict[str, Any]:
    """What the bits may depend on, beside the model: for the record."""
    return {
        "torch": torch.__version__,
        "device": str(images.device),
        "threads": torch.get_num_threads(),
        "strides": tuple(images.stride()),
        "tf32": [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32],
    }
