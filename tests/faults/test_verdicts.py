"""Verdicts, against a loop over images in plain Python and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gridrun.faults.verdicts import Counts, all_masked, counts, predictions, verdicts

NAN, INF = math.nan, math.inf
few = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, NAN, INF, -INF])


def by_hand(golden: list[float], logits: list[float], label: int) -> Counts:
    """One image's counts; np.argmax takes the first maximum, and a NaN for one."""
    masked = all(a == b for a, b in zip(golden, logits, strict=True))
    before, after = int(np.argmax(golden)), int(np.argmax(logits))
    masked = masked and before == after
    rank = sorted(range(len(golden)), key=lambda i: -math.inf if math.isnan(golden[i]) else -golden[i])
    nans = [i for i in rank if math.isnan(golden[i])]
    rank = nans + [i for i in rank if i not in nans]
    return Counts(
        1,
        int(masked),
        int(not masked and before == after),
        int(before != after),
        due=int(not all(map(math.isfinite, logits))),
        sdc5=int(after not in rank[:5]),
        correct=int(after == label),
    )


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 9), st.integers(1, 5))
def test_counts_are_those_of_a_loop_over_images(data: st.DataObject, n_classes: int, n_images: int) -> None:
    rows = st.lists(st.lists(few, min_size=n_classes, max_size=n_classes), min_size=n_images, max_size=n_images)
    golden, logits = data.draw(rows), data.draw(rows)
    labels = data.draw(st.lists(st.integers(0, n_classes - 1), min_size=n_images, max_size=n_images))
    wanted = sum(map(by_hand, golden, logits, labels))
    found = counts(torch.tensor(golden), torch.tensor(logits), torch.tensor(labels))
    assert found == wanted
    assert found.masked + found.non_critical + found.critical == found.n_injections == n_images


@pytest.mark.parametrize(
    ("golden", "logits", "verdict"),
    [
        ([0.0, 1.0], [-0.0, 1.0], "masked"),
        ([NAN, 1.0], [NAN, 1.0], "non_critical"),  # a NaN equals nothing
        ([0.0, 1.0], [NAN, 1.0], "critical"),  # and is the maximum
        ([0.0, 1.0], [0.0, INF], "non_critical"),
        ([INF, 1.0], [INF, 1.0], "masked"),
        ([1.0, 1.0], [0.0, 0.0], "non_critical"),  # the first maximum
        ([1.0, 1.0], [0.0, 1.0], "critical"),
    ],
)
def test_the_rules_one_by_one(golden: list[float], logits: list[float], verdict: str) -> None:
    found = counts(torch.tensor([golden]), torch.tensor([logits]))
    assert getattr(found, verdict) == 1 and found.n_injections == 1


def test_ties_go_to_the_first_class_in_wide_rows_too() -> None:
    logits = torch.zeros(7, 1000)
    logits[:, [17, 500, 999]] = 1.0
    assert predictions(logits).tolist() == [17] * 7


def test_the_tolerance_masks_small_differences_but_no_other_prediction() -> None:
    golden = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.01]])
    logits = torch.tensor([[0.05, 1.0], [0.2, 1.0], [1.02, 1.01]])
    assert counts(golden, logits, tolerance=0.1)[1:4] == (1, 1, 1)
    assert counts(golden, logits)[1:4] == (0, 2, 1)
    assert not verdicts(golden[:1] * NAN, golden[:1] * NAN, tolerance=1.0).masked.any()


def test_counts_add_up_and_shapes_are_checked() -> None:
    assert sum([Counts(1, 1, 0, 0), Counts(2, 0, 1, 1, 1, 1, 1)]) == Counts(3, 1, 1, 1, 1, 1, 1)
    assert all_masked(5, correct=4) == Counts(5, 5, 0, 0, correct=4)
    with pytest.raises(TypeError):
        Counts(1, 1, 0, 0) + (1,)
    with pytest.raises(ValueError, match="images, classes"):
        verdicts(torch.zeros(2, 3), torch.zeros(3, 3))
