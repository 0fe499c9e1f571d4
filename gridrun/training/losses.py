"""Boundary losses: how far the outputs at attacked parameters are from those at the parameters themselves.

Each takes the clean logits, the attacked logits (batch, classes) and the labels (batch,), and returns the
batch mean, a scalar >= 0. With p = softmax(clean), q = softmax(attacked):

    kl          sum_c p log(p / max(q, 1e-6))      (Buechel, Faber, Muir, ICLR 2022, equation 4)
    reverse_kl  sum_c q log(q / max(p, 1e-6))
    js          (kl(p, m) + kl(q, m)) / 2 with m = (p + q) / 2
    l2          || clean - attacked ||_2 of the logits
    madry       the training loss (cross entropy) at the attacked parameters (Madry et al., ICLR 2018)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1e-6  # the original's bound on q: an output that the attack drove to zero costs a finite amount


def divergence(log_p: Tensor, q: Tensor) -> Tensor:
    """Batch mean of sum_c p log(p / max(q, FLOOR)) from log p and q.

    >>> p = torch.tensor([[0.5, 0.5]])
    >>> round(divergence(p.log(), torch.tensor([[0.25, 0.75]])).item(), 4)  # .5 log 2 + .5 log(2/3)
    0.1438
    """
    return (log_p.exp() * (log_p - q.clamp(min=FLOOR).log())).sum(1).mean()


def kl(clean: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    return divergence(F.log_softmax(clean, 1), F.softmax(attacked, 1))


def reverse_kl(clean: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    return kl(attacked, clean, labels)


def js(clean: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    log_p, log_q = F.log_softmax(clean, 1), F.log_softmax(attacked, 1)
    middle = (log_p.exp() + log_q.exp()) / 2
    return (divergence(log_p, middle) + divergence(log_q, middle)) / 2


def l2(clean: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    return torch.linalg.vector_norm(clean - attacked, dim=1).mean()


def madry(clean: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(attacked, labels)


BoundaryLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
BOUNDARY_LOSSES: dict[str, BoundaryLoss] = {
    "kl": kl,
    "reverse_kl": reverse_kl,
    "js": js,
    "l2": l2,
    "madry": madry,
}


def boundary_loss(name: str) -> BoundaryLoss:
    """The loss of that name; an unknown name is an error that lists the table."""
    if name not in BOUNDARY_LOSSES:
        raise ValueError(f"no boundary loss {name!r}; there are {', '.join(BOUNDARY_LOSSES)}")
    return BOUNDARY_LOSSES[name]
