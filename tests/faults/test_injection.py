"""Faults in networks: borrowed, where they were meant to be, and given back to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from gridrun.faults.bits import FORMATS, KINDS, faulty, stored
from gridrun.faults.injection import injected, is_no_op, layer_shapes, stored_as
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn.cnn import CNN
from gridrun.training.seeding import generator

FLIP = WeightFault("convolutions.1", (3, 2, 0, 1), 30)


@pytest.fixture
def model() -> CNN:
    found = CNN((1, 8, 8), 10, (4, 4), 3, 1, (16,), generator=generator(0))
    with torch.no_grad():
        found.dense[0].weight.view(torch.int32)[0, 0] = 0x7FA00001  # a signalling NaN, which arithmetic would quieten
    return found


def state_of(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def differing(model: nn.Module, before: dict[str, bytes]) -> list[tuple[str, int]]:
    """(parameter, flat position) of every word that is not as before."""
    return [
        (name, int(position))
        for name, now in state_of(model).items()
        for position in np.flatnonzero(np.frombuffer(now, np.uint32) != np.frombuffer(before[name], np.uint32))
    ]


def test_one_bit_of_one_weight_is_changed_and_comes_back_when_the_body_raises(model: CNN) -> None:
    before = state_of(model)
    with pytest.raises(RuntimeError, match="inside"), injected(model, FLIP) as struck:
        assert struck is model
        position = np.ravel_multi_index(FLIP.index, (4, 4, 3, 3))
        assert differing(model, before) == [("convolutions.1.weight", position)]
        raise RuntimeError("inside")
    assert state_of(model) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_what_is_injected_is_what_bits_say_of_the_whole_tensor(model: CNN, kind: str, fmt: str) -> None:
    before, weight = state_of(model), model.convolutions[1].weight.detach().clone()
    fault = WeightFault("convolutions.1", (3, 2, 0, 1), 5, kind)
    with injected(model, fault, fmt):
        found = model.convolutions[1].weight[fault.index].item()
    if kind != "random":
        assert found == faulty(weight, 5, kind, fmt)[fault.index].item()
    else:  # equal faults are equal, and others are not
        with injected(model, fault, fmt):
            assert str(model.convolutions[1].weight[fault.index].item()) == str(found)
        with injected(model, replace(fault, bit=6), fmt):
            assert str(model.convolutions[1].weight[fault.index].item()) != str(found)
    assert state_of(model) == before


def test_several_faults_at_once_and_twice_in_the_same_weight(model: CNN) -> None:
    before = state_of(model)
    twice = [FLIP, WeightFault("dense.1", (2, 3), 31), WeightFault(FLIP.layer, FLIP.index, 3), FLIP]
    with injected(model, twice):
        assert len(differing(model, before)) == 2
        assert model.convolutions[1].weight[FLIP.index].view(torch.int32).item() == (
            np.frombuffer(before["convolutions.1.weight"], np.int32).reshape(4, 4, 3, 3)[FLIP.index] ^ 8
        )
    assert state_of(model) == before


def test_nested_faults_come_back_one_by_one(model: CNN) -> None:
    before = state_of(model)
    with injected(model, FLIP):
        with injected(model, WeightFault(FLIP.layer, FLIP.index, 2)):
            pass
        assert len(differing(model, before)) == 1
    assert state_of(model) == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (WeightFault("convolution.1", (0, 0, 0, 0), 3), "no layer 'convolution.1'.*did you mean 'convolutions.1'"),
        (WeightFault("convolutions", (0, 0, 0, 0), 3), "no layer 'convolutions'"),
        (WeightFault("dense.0", (16, 0), 3), r"dense.0 \(16, 0\) bit 3 flip: index \(16, 0\) is outside"),
        (WeightFault("dense.0", (-1, 0), 3), "is outside the shape"),
        (WeightFault("dense.0", (1,), 3), "is outside the shape"),
        (WeightFault("dense.0", (1, 0), 32), "bit 32 is outside 0..31"),
        (WeightFault("dense.0", (1, 1), 3, "stuck"), "no kind of fault 'stuck'"),
    ],
)
def test_an_error_names_the_fault_and_leaves_the_model_as_it_was(model: CNN, fault: WeightFault, message: str) -> None:
    before = state_of(model)
    with pytest.raises(ValueError, match=message), injected(model, [FLIP, fault]):
        pytest.fail("the body must not run")
    assert state_of(model) == before


def test_a_shared_weight_is_faulty_in_every_layer_that_shares_it() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    assert layer_shapes(model) == {"0": (2, 2)}
    with injected(model, WeightFault("1", (0, 1), 31)):
        assert torch.equal(model[0].weight, model[1].weight)


def test_a_computed_weight_is_refused_because_no_fault_would_stay() -> None:
    model = nn.Sequential(weight_norm(nn.Linear(2, 2)))
    with pytest.raises(RuntimeError, match="computed"), injected(model, WeightFault("0", (0, 1), 31)):
        pytest.fail("the body must not run")


def test_the_bits_come_back_where_the_body_moves_the_weights_elsewhere(model: CNN) -> None:
    before = state_of(model)
    with injected(model, FLIP):
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()
    assert state_of(model) == before


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_address_does_not_depend_on_the_layout_in_memory(layout: torch.memory_format) -> None:
    model = nn.Conv2d(3, 4, 3).to(memory_format=layout)
    before = model.weight.detach().clone()
    with injected(model, WeightFault("", (1, 2, 0, 2), 31)):
        assert torch.nonzero(model.weight != before).tolist() == [[1, 2, 0, 2]]


def test_half_precision_models_are_struck_in_their_own_words() -> None:
    model = nn.Linear(3, 2).half()
    before = model.weight.detach().clone()
    with injected(model, WeightFault("", (1, 2), 15), "fp16"):
        assert model.weight[1, 2] == -before[1, 2]
    with pytest.raises(ValueError, match="cannot hold"), injected(model, WeightFault("", (1, 2), 15)):
        pytest.fail("the body must not run")


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "int8"])
def test_no_ops_are_the_stuck_ats_that_change_no_bit(fmt: str) -> None:
    model = nn.Linear(6, 4)
    with stored_as(model, fmt):
        before = model.weight.detach().clone()
        for bit in range(FORMATS[fmt].bits):
            both = [is_no_op(model, WeightFault("", (1, 2), bit, kind), fmt) for kind in ("stuck0", "stuck1")]
            assert sorted(both) == [False, True]
            with injected(model, WeightFault("", (1, 2), bit, ("stuck0", "stuck1")[both[1]]), fmt):
                assert torch.equal(model.weight, before)


def test_stored_as_rounds_every_weight_and_gives_it_back(model: CNN) -> None:
    before = state_of(model)
    with pytest.raises(RuntimeError, match="inside"), stored_as(model, "bf16"):
        weight = model.convolutions[0].weight
        assert torch.equal(weight, stored(weight, "bf16"))
        assert len(differing(model, before)) > 100
        raise RuntimeError("inside")
    assert state_of(model) == before
