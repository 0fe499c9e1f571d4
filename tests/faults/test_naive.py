"""The plain campaign, against copies of the network with the fault written in by hand."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gridrun import data
from gridrun.faults.fault_list import read
from gridrun.faults.naive import logits_of, naive_counts
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo
from gridrun.nn.cnn import CNN
from gridrun.training.seeding import generator

IMAGES, LABELS = (t[:50] for t in data.load("digits").test)
FAULTS = [
    WeightFault("convolutions.0", (1, 0, 2, 2), 30),
    WeightFault("convolutions.1", (3, 1, 0, 0), 25),
    WeightFault("dense.0", (7, 11), 31),
    WeightFault("dense.1", (2, 3), 0),
]


@pytest.fixture
def model() -> CNN:
    return CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0))


def by_hand(model: CNN, fault: WeightFault) -> Counts:
    struck = copy.deepcopy(model)
    words = struck.get_submodule(fault.layer).weight.detach().numpy().view(np.uint32)
    words[fault.index] ^= np.uint32(1 << fault.bit)
    with torch.no_grad():
        golden, logits = model(IMAGES).numpy(), struck(IMAGES).numpy()
    same, top = (golden == logits).all(1), golden.argmax(1) == logits.argmax(1)
    right = int((logits.argmax(1) == LABELS.numpy()).sum())
    due = int((~np.isfinite(logits)).any(1).sum())
    sdc5 = sum(np.argsort(-g, kind="stable")[:5].tolist().count(p) == 0 for g, p in zip(golden, logits.argmax(1)))
    return Counts(len(same), int(same.sum()), int((top & ~same).sum()), int((~top).sum()), due, sdc5, right)


def test_the_counts_are_those_of_a_copy_with_the_fault_written_in(model: CNN) -> None:
    found = list(naive_counts(model, IMAGES, FAULTS, batch_size=50, labels=LABELS))
    assert found == [by_hand(model, fault) for fault in FAULTS]
    assert found[0].critical > 0 and found[3].critical == 0


def test_the_model_is_itself_between_faults_and_after_a_campaign_that_is_left(model: CNN) -> None:
    model.dense[0].eval()
    before = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
    campaign = naive_counts(model, IMAGES, FAULTS)
    next(campaign)
    assert {name: value.numpy().tobytes() for name, value in model.state_dict().items()} == before
    campaign.close()
    assert model.training and not model.dense[0].training


def test_a_stuck_at_equal_to_the_bit_masks_every_image(model: CNN) -> None:
    word = int(model.dense[0].weight.detach().numpy().view(np.uint32)[0, 0])
    faults = [WeightFault("dense.0", (0, 0), bit, f"stuck{word >> bit & 1}") for bit in (0, 30, 31)]
    assert [c.masked for c in naive_counts(model, IMAGES, faults)] == [50] * 3


def test_in_batches_the_logits_are_those_of_the_same_batches(model: CNN) -> None:
    with torch.no_grad():
        parts = [model(batch) for batch in IMAGES.split(16)]
    assert torch.equal(logits_of(model, IMAGES, 16), torch.cat(parts))


@pytest.mark.data
@pytest.mark.long
def test_rows_of_the_published_campaign_of_resnet20_come_out_again() -> None:
    folder = Path(os.environ["GRIDRUN_DATA"])
    theirs = read(folder / "fault_lists" / "ResNet20_FL.csv")
    model = zoo.load_weights(zoo.network("ResNet20"), folder / "weights" / "ResNet20.th")
    images, _ = data.test_images("cifar10", folder)
    rows = [2]  # of bit 30; each row is 10,000 images, a minute of a core
    for row, found in zip(rows, naive_counts(model, images, [theirs.faults[i] for i in rows]), strict=True):
        published = (theirs.counts or [])[row]
        assert found.n_injections == published.n_injections
        assert abs(found.critical - published.critical) <= (1 if theirs.faults[row].bit == 30 else 2)
