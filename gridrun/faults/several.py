"""Several networks of one form, which differ in their parameters alone: one after the other, or at once by vmap.

At once they share the cost of a call, which pays for small recurrent networks and for small batches; where arithmetic
takes most of the time it is slower. Which of the two is faster hangs on the network, the batches and the machine:
`quickest` tries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..training.evaluation import batches_of

AT_ONCE, SMALL_BATCH = 10, 100  # that many networks on so many images stay within a processor's cache
N_TRIED, N_IMAGES = 2, 2 * SMALL_BATCH  # networks that the probe runs one by one, images it runs at once
LEAST_SHARE = 1 / 2  # of the time of a batch, that a call has to cost before the probe goes on
Theta = Mapping[str, Tensor]


def logits_of_all(model: nn.Module, networks: Sequence[Theta], images: Tensor) -> Tensor:
    """Logits (networks, images, classes) of one batch; more than one network by vmap.

    >>> two = [{"weight": torch.eye(2)}, {"weight": -torch.eye(2)}]
    >>> logits_of_all(nn.Linear(2, 2, bias=False), two, torch.tensor([[1.0, 3.0]])).tolist()
    [[[1.0, 3.0]], [[-1.0, -3.0]]]
    """
    if len(networks) == 1:
        return functional_call(model, dict(networks[0]), (images,)).unsqueeze(0)
    stacked = {name: torch.stack([theta[name] for theta in networks]) for name in networks[0]}
    return vmap(lambda theta, x: functional_call(model, theta, (x,)), in_dims=(0, None))(stacked, images)


@torch.no_grad()
def quickest(
    model: nn.Module,
    networks: Sequence[Theta],
    images: Tensor,
    batch_size: int | None = None,
    clock: Callable[[], float] | None = None,
) -> tuple[int, int | None]:
    """(how many networks at once, images in a batch), by a probe: 2 networks on the loop's first batch, one after the
    other, against 10 at once on 200 images of it.

    At once, images go in batches of 100 where `batch_size` leaves the choice. It is chosen only where the probe found
    the very bits of the loop too, so that the choice, which is one of luck, does not show in the numbers: not for a
    network that looks at its batch as a whole, nor where products of matrices are summed in another order. The probe
    ends early where one image takes little of the time of a batch: the cost of a call is all that can be saved.

    clock: seconds; that of the processor on a CPU, which other programs disturb less, else the one on the wall.
    """
    clock = clock or (time.process_time if images.device.type == "cpu" else time.perf_counter)
    the_loop, size = (1, batch_size), batch_size or SMALL_BATCH
    if len(networks) < AT_ONCE:
        return the_loop
    batch, tried = batches_of(images, batch_size)[0], networks[:N_TRIED]
    few = batch[:N_IMAGES]
    _one_by_one(model, tried[:1], few[:1])  # the first call prepares what later ones find
    call_s, _ = _timed(clock, lambda: _one_by_one(model, tried, batch[:1]))
    loop_s, looped = _timed(clock, lambda: _one_by_one(model, tried, batch))
    if call_s < LEAST_SHARE * loop_s:
        return the_loop
    try:
        _at_once(model, tried, few[:1], size)
        at_once_s, together = _timed(clock, lambda: _at_once(model, networks[:AT_ONCE], few, size))
    except RuntimeError:  # vmap does not know every operation; the loop does
        return the_loop
    is_faster = at_once_s / (AT_ONCE * len(few)) < loop_s / (N_TRIED * len(batch))
    return (AT_ONCE, size) if is_faster and torch.equal(together[:N_TRIED], looped[:, : len(few)]) else the_loop


def _one_by_one(model: nn.Module, networks: Sequence[Theta], batch: Tensor) -> Tensor:
    return torch.cat([logits_of_all(model, [theta], batch) for theta in networks]).cpu()


def _at_once(model: nn.Module, networks: Sequence[Theta], images: Tensor, batch_size: int) -> Tensor:
    return torch.cat([logits_of_all(model, networks, x) for x in images.split(batch_size)], 1).cpu()


def _timed(clock: Callable[[], float], run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    begin = clock()
    found = run()
    return clock() - begin, found
