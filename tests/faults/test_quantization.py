"""Quantisation: words by hand, one road by whole numbers and one by int8, and what the steps must satisfy."""

from __future__ import annotations

import pytest
import torch

from gridrun.faults.bits import stored
from gridrun.faults.quantization import quantized, quantized_accuracy, step_size
from gridrun.nn.cnn import CNN
from gridrun.nn.resnet_trained import TrainedResNet
from gridrun.training.evaluation import accuracy
from gridrun.training.seeding import generator

WEIGHTS = torch.randn(6, 5, 3, 3, generator=generator(0)) * torch.arange(6.0).view(6, 1, 1, 1)


def test_two_bits_are_three_words() -> None:
    assert quantized(torch.tensor([2.0, -1.1, 0.9, 0.0, -2.0]), 2).tolist() == [2.0, -2.0, 0.0, 0.0, -2.0]


def test_ties_go_to_the_even_word() -> None:
    values = torch.tensor([7.0, 0.5, 1.5, -2.5])  # 4 bits: words of -7 to 7, a step of 1
    assert quantized(values, 4).tolist() == [7.0, 0.0, 2.0, -2.0]


@pytest.mark.parametrize("bits", [2, 3, 5, 8, 12])
@pytest.mark.parametrize("per_channel", [False, True])
def test_words_are_few_symmetric_and_within_half_a_step(bits: int, per_channel: bool) -> None:
    found, step = quantized(WEIGHTS, bits, per_channel), step_size(WEIGHTS, bits, per_channel)
    assert torch.equal(found, -quantized(-WEIGHTS, bits, per_channel))
    assert ((found - WEIGHTS).double().abs() <= step / 2 + 1e-6).all()
    assert torch.allclose(quantized(found, bits, per_channel), found, rtol=1e-6)  # storing twice is storing once
    rows = found.flatten(1) if per_channel else found.view(1, -1)
    assert max(len(row.unique()) for row in rows) <= 2**bits - 1
    assert torch.equal(rows.abs().amax(1), (WEIGHTS.flatten(1) if per_channel else WEIGHTS.view(1, -1)).abs().amax(1))


def test_eight_bits_a_channel_are_int8() -> None:
    for values in (WEIGHTS, WEIGHTS[:, 0, 0], WEIGHTS[1, 2, 2]):
        assert torch.equal(quantized(values, 8, per_channel=True), stored(values, "int8"))
    assert not torch.equal(quantized(WEIGHTS, 8), stored(WEIGHTS, "int8"))  # one step for all is coarser


def test_a_channel_of_zeros_stays_zero_and_an_empty_tensor_empty() -> None:
    assert not quantized(WEIGHTS, 4, per_channel=True)[0].any()
    assert quantized(torch.zeros(3, 2), 4).tolist() == [[0.0, 0.0]] * 3
    assert quantized(torch.zeros(0), 4).shape == (0,)


def test_enough_bits_are_the_network_itself_and_few_are_worse() -> None:
    model = CNN((1, 8, 8), 4, (8, 8), 3, 1, (16,), generator=generator(1))
    images = torch.randn(400, 1, 8, 8, generator=generator(2))
    labels = model(images).argmax(1)
    found = [quantized_accuracy(model, images, labels, bits) for bits in (24, 8, 5, 3, 2)]
    assert found[0] == 1 and found[0] > found[2] > found[3] > found[4]
    by_hand = CNN((1, 8, 8), 4, (8, 8), 3, 1, (16,))
    by_hand.load_state_dict({name: quantized(tensor, 3) for name, tensor in model.state_dict().items()})
    assert accuracy(by_hand(images), labels) == found[3]


def test_batch_normalisation_keeps_all_its_bits() -> None:
    model = TrainedResNet((1, 8, 8), 4, n_blocks=1, width=4).eval()
    with torch.no_grad():
        model.bn1.weight.copy_(torch.tensor([0.37, 1.0, 1.21, 0.8]))
    images = torch.randn(100, 1, 8, 8, generator=generator(3))
    by_hand = TrainedResNet((1, 8, 8), 4, n_blocks=1, width=4).eval()
    state = {
        k: v if k in model.spared or "running" in k else quantized(v, 4)
        for k, v in model.state_dict().items()
        if v.is_floating_point()
    }
    by_hand.load_state_dict(state, strict=False)
    labels = by_hand(images).argmax(1)
    assert quantized_accuracy(model, images, labels, 4) == 1


@pytest.mark.parametrize("bits", [1, 0, -3, 25, 2.5, True, "8"])
def test_bits_that_make_no_words_are_refused(bits: object) -> None:
    with pytest.raises(ValueError, match="want a whole number from 2 to 24"):
        quantized(torch.ones(2), bits)  # type: ignore[arg-type]


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        quantized(torch.tensor([1.0, float("inf")]), 8)
