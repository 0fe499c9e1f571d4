"""Boundary losses by hand, by identities, and by torch's own divergence."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch.nn import functional as F

from gridrun.training.losses import BOUNDARY_LOSSES, boundary_loss
from gridrun.training.seeding import generator

CLEAN, ATTACKED = (torch.randn(6, 4, generator=generator(0, name), dtype=torch.double) for name in "ca")
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def value(name: str, clean: torch.Tensor = CLEAN, attacked: torch.Tensor = ATTACKED) -> float:
    return boundary_loss(name)(clean, attacked, LABELS).item()


def test_kl_of_two_outcomes_by_hand() -> None:
    clean, attacked = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    assert value("kl", clean, attacked) == pytest.approx(0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1))
    assert value("reverse_kl", clean, attacked) == pytest.approx(0.9 * log(0.9 / 0.5) + 0.1 * log(0.1 / 0.5))


def test_kl_as_torch_computes_it() -> None:
    log_p, log_q = F.log_softmax(CLEAN, 1), F.log_softmax(ATTACKED, 1)
    assert value("kl") == pytest.approx(F.kl_div(log_q, log_p, log_target=True, reduction="batchmean").item())


def test_js_is_symmetric_and_below_log_2() -> None:
    assert value("js") == pytest.approx(value("js", ATTACKED, CLEAN))
    far = torch.tensor([[50.0, 0.0]]), torch.tensor([[0.0, 50.0]])
    assert value("js", *far) == pytest.approx(log(2))


def test_an_output_driven_to_zero_costs_log_of_the_floor() -> None:
    clean, attacked = torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 200.0]])
    assert value("kl", clean, attacked) == pytest.approx(log(1e6), rel=1e-4)


def test_l2_and_madry_by_hand() -> None:
    assert value("l2", torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])) == 5
    rows = [-F.log_softmax(row, 0)[label].item() for row, label in zip(ATTACKED, LABELS, strict=True)]
    assert value("madry") == pytest.approx(sum(rows) / len(rows))


@pytest.mark.parametrize("name", sorted(BOUNDARY_LOSSES))
def test_gradients_are_finite_at_equal_outputs(name: str) -> None:
    attacked = CLEAN.clone().requires_grad_()
    boundary_loss(name)(CLEAN, attacked, LABELS).backward()
    assert attacked.grad is not None
    assert attacked.grad.isfinite().all()
    if name != "madry":
        assert value(name, CLEAN, CLEAN) == pytest.approx(0, abs=1e-12)


def test_a_misspelt_loss_lists_the_table() -> None:
    with pytest.raises(ValueError, match="'madri'; there are kl, reverse_kl, js, l2, madry"):
        boundary_loss("madri")
