"""Several networks at once: the same logits, and a probe whose choice does not show in the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gridrun import data
from gridrun.faults import mismatch, several
from gridrun.faults.mismatch import accuracy_under_mismatch, scaled
from gridrun.faults.several import logits_of_all, quickest
from gridrun.nn.cnn import CNN
from gridrun.nn.lsnn import LSNN
from gridrun.training.evaluation import perturbed_of
from gridrun.training.seeding import generator

# what the clock says at the begin and end of: one image, a batch of 230, twice; 200 of these for 10 networks at once
FASTER, SLOWER = (0, 1, 1, 3, 3, 11), (0, 1, 1, 3, 3, 23)  # the loop takes 1 s for 230 images: 8.7 s for 2,000
CHEAP_CALLS = (0, 1, 1, 5)
IMAGES, LABELS = (t[:230] for t in data.load("digits").test)


def cnn(**options: Any) -> CNN:
    return CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0), **options)


def drawn(model: nn.Module, n: int = 10) -> list[dict[str, Tensor]]:
    return [scaled(perturbed_of(model), 0.3, generator(0, "mismatch", i)) for i in range(n)]


def clock(times: tuple[int, ...]) -> Callable[[], float]:
    return iter(map(float, times)).__next__


class Counting(nn.Linear):
    """A dense layer that looks at a number in Python, as vmap cannot."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.weight.sum().item() else x


def test_at_once_is_one_after_the_other() -> None:
    model = cnn()
    together = logits_of_all(model, drawn(model, 3), IMAGES)
    assert together.shape == (3, 230, 10)
    for i in range(3):
        with mismatch.mismatched(model, 0.3, generator(0, "mismatch", i)):
            assert torch.allclose(together[i], model(IMAGES), atol=1e-6)


def test_the_faster_way_is_chosen() -> None:
    model = cnn()
    assert quickest(model, drawn(model), IMAGES, clock=clock(FASTER)) == (10, 100)
    a_batch_of_64 = (0, 1, 1, 3, 3, 12)  # 2 s for 2 networks, 9 s for 10
    assert quickest(model, drawn(model), IMAGES, 64, clock(a_batch_of_64)) == (10, 64)
    assert quickest(model, drawn(model), IMAGES, clock=clock(SLOWER)) == (1, None)
    just_slower = (0, 1, 1, 3, 3, 12)  # 9 s for 2,000
    assert quickest(model, drawn(model), IMAGES, clock=clock(just_slower)) == (1, None)
    assert quickest(model, drawn(model), IMAGES, 64, clock((0, 1, 1, 3, 3, 14))) == (1, 64)


def test_cheap_calls_end_the_probe() -> None:
    model = cnn()
    assert quickest(model, drawn(model), IMAGES, clock=clock(CHEAP_CALLS)) == (1, None)


@pytest.mark.parametrize("batch_size", [None, 230])
def test_other_bits_are_never_chosen(monkeypatch: pytest.MonkeyPatch, batch_size: int | None) -> None:
    model, real = cnn(), several.logits_of_all
    monkeypatch.setattr(several, "logits_of_all", lambda m, n, x: real(m, n, x) * (1 + 1e-6 * (len(n) > 1)))
    assert quickest(model, drawn(model), IMAGES, batch_size, clock(FASTER)) == (1, batch_size)


def test_a_network_that_looks_at_its_batch_keeps_its_batches() -> None:
    model = cnn(batch_standardize=True)
    assert quickest(model, drawn(model), IMAGES, clock=clock(FASTER)) == (1, None)


def test_what_vmap_cannot_do_is_left_to_the_loop() -> None:
    model = Counting(4, 2)
    with pytest.raises(RuntimeError, match="vmap"):
        logits_of_all(model, drawn(model, 2), torch.ones(3, 4))
    assert quickest(model, drawn(model), torch.ones(3, 4), clock=clock(FASTER)) == (1, None)


def test_few_draws_are_not_worth_a_probe() -> None:
    def never() -> float:
        raise AssertionError("probed")

    model = cnn()
    assert quickest(model, drawn(model, 9), IMAGES, clock=never) == (1, None)


def networks() -> Iterator[tuple[nn.Module, Tensor, Tensor]]:
    yield cnn(), IMAGES, LABELS
    yield cnn(batch_standardize=True), IMAGES, LABELS
    beats, labels = data.load("synthetic_ecg").test
    yield LSNN((100, 2), 4, n_hidden=8, generator=generator(0)), beats[:130], labels[:130]


@pytest.mark.parametrize("times", [FASTER, SLOWER])
def test_the_numbers_are_the_loop_s_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch, times: tuple[int, ...]
) -> None:
    chosen = []

    def probe(*arguments: Any) -> tuple[int, int | None]:
        chosen.append(quickest(*arguments, clock=clock(times)))
        return chosen[-1]

    monkeypatch.setattr(mismatch, "quickest", probe)
    for model, images, labels in networks():
        looped = accuracy_under_mismatch(model, images, labels, 0.4, 12, seed=3)
        assert np.array_equal(accuracy_under_mismatch(model, images, labels, 0.4, 12, seed=3, chunk=None), looped)
        assert len(set(looped)) > 1
    assert [at_once for at_once, _ in chosen] == [10 if times == FASTER else 1] * 3


def test_a_chunk_of_none_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk=0: want 1 or more"):
        accuracy_under_mismatch(cnn(), IMAGES, LABELS, 0.4, chunk=0)
