"""Several networks of one form, which differ in their parameters alone: one after the other, or at once by vmap.

At once they share the cost of a call, which pays for small networks, recurrent ones above all; large convolutions are
slower so. Which of the two is faster hangs on the network, the machine and what else runs there: `quickest` tries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..training.evaluation import batches_of

AT_ONCE, SMALL_BATCH = 10, 100  # that many networks on so many images stay within a processor's cache
N_TRIED, N_IMAGES = 3, 2 * SMALL_BATCH  # networks that the probe runs one by one, and images it runs
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
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[int, int | None]:
    """(how many networks at once, images in a batch), by a probe of up to 10 networks on 200 images.

    At once, images go in batches of 100 where `batch_size` leaves the choice. It is chosen only where the probe found
    the very bits of the loop too, so that the choice, which is one of luck, does not show in the numbers: not for a
    network that looks at its batch as a whole, nor where products of matrices are summed in another order.
    """
    small, tried, few = batch_size or SMALL_BATCH, networks[:N_TRIED], images[:N_IMAGES]
    if len(networks) < AT_ONCE:
        return 1, batch_size
    begin = clock()
    looped = torch.cat([_through(model, [theta], few, batch_size) for theta in tried])
    loop_s = (clock() - begin) / len(tried)
    try:
        logits_of_all(model, networks[:2], few[:1])  # the first call prepares what later ones find
        begin = clock()
        together = _through(model, networks[:AT_ONCE], few, small)
    except RuntimeError:  # vmap does not know every operation; the loop does
        return 1, batch_size
    at_once_s = (clock() - begin) / AT_ONCE
    is_chosen = at_once_s < loop_s and torch.equal(together[: len(tried)], looped)
    return (AT_ONCE, small) if is_chosen else (1, batch_size)


def _through(model: nn.Module, networks: Sequence[Theta], images: Tensor, batch_size: int | None) -> Tensor:
    return torch.cat([logits_of_all(model, networks, x) for x in batches_of(images, batch_size)], 1).cpu()
