"""Fault campaigns as points of a grid: what is stored is not computed again, what is damaged is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fault_points import by_the_naive_loop, faults, network
from storing import blobs, flip, reopened

from gridrun import ensure, run
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.tasks.campaign import ARGUMENTS, fault_counts
from gridrun.tasks.stored_blocks import planned, totals

SIZES = {"block": 8, "chunk": 16}


@pytest.fixture
def point(tmp_path: Path) -> dict[str, Any]:
    return network(tmp_path / "network")


def campaign(
    point: dict[str, Any], listed: Sequence[WeightFault], n_images: int, **options: Any
) -> tuple[list[Counts], int]:
    """The counts, and how many (fault, image) pairs were computed for them."""
    grid = planned(point, listed, n_images, **{**SIZES, **options})
    states = ensure(grid, fault_counts)(*ARGUMENTS)
    assert {state.state for state in states} <= {"done", "cached"}
    now = [block for block, state in zip(grid, states) if state.state == "done"]
    n_pairs = sum(len(block["faults"]) * (block["images"][1] - block["images"][0]) for block in now)
    return totals(grid, run(grid, fault_counts, run_mode="load")(*ARGUMENTS), listed), n_pairs


def test_counts_are_the_naive_loops_and_a_second_campaign_computes_nothing(point: dict[str, Any]) -> None:
    listed = faults(point, 20)
    expected = by_the_naive_loop(point, listed, 40)
    assert campaign(point, listed, 40) == (expected, 20 * 40)
    assert campaign(point, listed, 40) == (expected, 0)
    assert len({c.critical for c in expected}) > 3


def test_more_faults_or_images_cost_only_themselves(point: dict[str, Any]) -> None:
    listed = faults(point, 30)
    for rows, n_images, n_pairs in [
        (slice(0, 10), 10, 10 * 10),  # a block and a part of one, on a part of a chunk of images
        (slice(0, 10), 25, 10 * 15),
        (slice(0, 21), 25, 11 * 25),
        (slice(4, 12), 16, 0),
        (slice(4, 12), 20, 8 * 4),  # images 16 to 24 were counted together
        (slice(0, 30), 40, 30 * 40 - 21 * 25),
    ]:
        expected = by_the_naive_loop(point, listed[rows], n_images)
        assert campaign(point, listed[rows], n_images) == (expected, n_pairs)


def test_a_shuffled_list_another_kind_or_another_network(point: dict[str, Any], tmp_path: Path) -> None:
    listed = faults(point, 12)
    first, _ = campaign(point, listed, 20)
    assert campaign(point, listed[::-1], 20) == (first[::-1], 0)
    zeros = [WeightFault(f.layer, f.index, f.bit, "zero") for f in listed]
    assert campaign(point, zeros, 20) == (by_the_naive_loop(point, zeros, 20), 12 * 20)
    other = {**point, "weights_id": "another"}
    assert campaign(other, listed, 20)[1] == 12 * 20


@pytest.mark.parametrize("hurt", ["flip", "truncate", "empty", "remove"])
@pytest.mark.parametrize("block", [8, 200])  # small results are in a segment, large ones in files of their own
def test_damaged_counts_are_computed_again_and_never_believed(
    point: dict[str, Any], sessions: Path, hurt: str, block: int
) -> None:
    listed = faults(point, 200 if block > 100 else 16)
    expected, n_pairs = campaign(point, listed, 16, block=block)
    victims = blobs(sessions) if block > 100 else sorted(sessions.glob("segments/*"))
    assert victims
    for path in victims:
        raw = path.read_bytes()
        if hurt == "remove":
            path.unlink()
        elif hurt == "flip":
            flip(path, len(raw) // 2)
        else:
            path.write_bytes(raw[: len(raw) // 2] if hurt == "truncate" else b"")
    reopened(sessions)
    counts, n_again = campaign(point, listed, 16, block=block)
    assert counts == expected and 0 < n_again <= n_pairs
    assert campaign(point, listed, 16, block=block) == (expected, 0)
