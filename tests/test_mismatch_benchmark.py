"""The benchmark of mismatch measures what it says. Nothing here is timed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from benchmarks import mismatch_evaluation as benchmark
from benchmarks import mismatch_ways
from benchmarks.clock import Lap
from benchmarks.mismatch_ways import Case
from gridrun import data
from gridrun.faults.mismatch import mismatched
from gridrun.nn.cnn import CNN
from gridrun.training.evaluation import accuracy
from gridrun.training.seeding import generator

SMALL = Case("small", "digits", lambda: CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,)), 10, 3, (2, 5))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setitem(mismatch_ways.CASES, "small", SMALL)
    mismatch_ways.setting.cache_clear()
    yield "small"
    torch.set_num_threads(n_threads)


def test_every_way_gives_the_same_accuracies(small: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = {way: run() for way, run in mismatch_ways.ways(small, pool).items()}
    images, labels = data.load("digits").test
    for i in range(3):
        with mismatched(SMALL.make(), 0.3, generator(0, "mismatch", i)) as model:
            assert {accuracies[i] for accuracies in found.values()} == {accuracy(model(images), labels)}
    lengths = {"the original's way": 3, "2 workers, loop": 5}
    assert [len(found[way]) for way in found] == [lengths.get(way, 10) for way in found]
    assert len(set(found["loop"])) > 1


def test_the_original_s_way_reads_the_data_and_makes_the_network_for_every_draw(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, real = [], data.load
    monkeypatch.setattr(data, "load", lambda *arguments: read.append(arguments) or real(*arguments))
    mismatch_ways.originals(small, 4)
    assert read == [("digits", None, 0.0)] * 4


def test_agreement_counts_images() -> None:
    loop = np.array([0.5, 0.6, 0.7])
    assert benchmark.agreement(loop[:2], loop, 10) == "the same"
    assert benchmark.agreement(np.array([0.7, 0.6]), loop, 10) == "apart by 2 images of 10 at most"


def test_the_page_by_hand() -> None:
    measured = {
        "the original's way": benchmark.Measured([Lap(1, 2), Lap(0.5, 0.5), Lap(1, 1)], "the same"),
        "loop": benchmark.Measured([Lap(0.1, 1), Lap(0.1, 1), Lap(0.025, 1)], "the same"),
        "2 workers": benchmark.Measured([Lap(0.05, 1)] * 3, "the same", is_one_process=False),
    }
    text = benchmark.page({"a case": measured}, {"date": "today"})
    assert "- date: today\n" in text and "\n## a case\n" in text
    assert "| the original's way | 1 | 0.10 (0.10, 0.20, 0.03) | 1.00 (0.50, 2.00, 1.00) | the same |\n" in text
    assert "| loop | 10 | 1.00 (1.00, 1.00, 1.00) | 1.00 (1.00, 1.00, 1.00) | the same |\n" in text
    assert "| 2 workers | 20 | 2.00 (2.00, 2.00, 0.50) |  | the same |\n" in text


def test_networks_are_counted_by_way(small: str) -> None:
    assert [benchmark.n_networks(small, way) for way in ("the original's way", "loop")] == [3, 10]
