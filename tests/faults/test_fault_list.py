"""Fault lists as files: written as published, read whatever their form, and refused with every bad row named."""

from __future__ import annotations

import os
import string
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resnet_shapes import resnet

from gridrun.faults.bits import KINDS, tf32
from gridrun.faults.fault_list import BadFaultList, parse, read, to_text, write
from gridrun.faults.keras_list import from_tensorflow, keras_shapes, to_tensorflow
from gridrun.faults.summary import shares, summed
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault, problem

SHAPES = {"conv1": (16, 3, 3, 3), "linear": (10, 64)}
LIST = """Injection,Layer,TensorIndex,Bit,n_injections,masked,non_critical,critical
0,conv1,"(3, 0, 2, 1)",15,10000,14,9985,1
1,linear,"(7, 36)",30,10000,0,929,9071
"""
FAULTS = [WeightFault("conv1", (3, 0, 2, 1), 15), WeightFault("linear", (7, 36), 30)]
COUNTS = [Counts(10000, 14, 9985, 1), Counts(10000, 0, 929, 9071)]


def published_lists() -> Path:
    return Path(os.environ["GRIDRUN_DATA"]) / "fault_lists"


def test_reading_and_writing_by_hand() -> None:
    found = parse(LIST, SHAPES)
    assert (found.faults, found.counts, found.numbers) == (FAULTS, COUNTS, [0, 1])
    assert to_text(FAULTS, COUNTS) == LIST
    assert parse(to_text(FAULTS)).counts is None


FORMS = {
    "CRLF": LIST.replace("\n", "\r\n"),
    "CR": LIST.replace("\n", "\r"),
    "no last newline": LIST.rstrip("\n"),
    "blank lines": "\n" + LIST.replace("\n", "\n\n") + "  \n,,,\n",
    "byte order mark": "\ufeff" + LIST,
    "spaces": LIST.replace("conv1,", " conv1 ,").replace("(7, 36)", "( 7,36 )").replace(",30,", ", 30 ,"),
    "quotes everywhere": LIST.replace("0,conv1,", '"0","conv1",'),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_file_is_no_matter(tmp_path: Path, form: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(FORMS[form].encode())
    assert read(path, SHAPES)[:2] == (FAULTS, COUNTS)


def test_columns_in_another_order_and_columns_of_others_are_no_matter() -> None:
    assert parse('Bit,note,TensorIndex,Layer,Injection\n15,x,"(3, 0, 2, 1)",conv1,7').numbers == [7]


def test_one_error_lists_every_bad_row_with_its_line() -> None:
    rows = [
        ('0,conv1,"(3, 0, 2, 1)",15', ""),
        ('1,conv2,"(3, 0, 2, 1)",15', "line 3: no layer 'conv2'; did you mean 'conv1'?"),
        ('2,conv1,"(16, 0, 2, 1)",15', "line 4: index (16, 0, 2, 1) is outside the shape (16, 3, 3, 3) of conv1"),
        ('3,conv1,"(3, 0)",15', "line 5: index (3, 0) is outside"),
        ('4,conv1,"(3, 0, 2, 1)",32', "line 6: bit 32 is outside 0..31"),
        ('5,conv1,"(3, 0, 2, 1)",-1', "line 7: Bit is '-1', not a whole number"),
        ('6,conv1,"(3, 0, 2, 1)",15', "line 8: fault conv1 (3, 0, 2, 1) bit 15 flip again; it is on line 2 already"),
        ("7,conv1,(3, 0, 2, 1),15", "line 9: 7 cells where the header has 4"),
        ('8,conv1,"3, 0, 2, 1",15', "line 10: TensorIndex is '3, 0, 2, 1', not like"),
        ('9,conv1,"(3, 0, 2, __import__)",15', "line 11: TensorIndex"),
        ('x,conv1,"(3, 0, 2, 1)",14', "line 12: Injection is 'x'"),
        ('0,conv1,"(3, 0, 2, 1)",13', "line 13: Injection 0 again; it is on line 2 already"),
        ('13,conv1,"(3, 0, 2, 1)"', "line 14: 3 cells"),
        ('14,conv1,"(3, 0, 2, 1)",٣', "line 15: Bit is '٣'"),
        ('15,conv1,"(3, 0, 2, 1)",12', ""),
    ]
    with pytest.raises(BadFaultList) as error:
        parse("Injection,Layer,TensorIndex,Bit\n" + "\n".join(row for row, _ in rows), SHAPES, "mine.csv")
    wanted = [why for _, why in rows if why]
    lines = str(error.value).splitlines()
    assert lines[0] == f"mine.csv has {len(wanted)} bad rows:"
    for line, why in zip(lines[1:], wanted, strict=True):
        assert line.strip().startswith(why)
    assert [row.line for row in error.value.rows] == list(range(3, 16))[: len(wanted)]


def test_a_bad_row_of_results_and_a_long_list_of_bad_rows() -> None:
    with pytest.raises(BadFaultList, match=r"line 2: masked is '14\.0', not a whole number"):
        parse(LIST.replace(",14,", ",14.0,"))
    with pytest.raises(BadFaultList) as error:
        parse("Injection,Layer,TensorIndex,Bit\n" + "x\n" * 200)
    assert len(error.value.rows) == 200 and "and 150 more" in str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: the header lacks Injection, Layer, TensorIndex, Bit"),
        ("Injection,Layer,Bit\n", "the header lacks TensorIndex"),
        ("Injection,Layer,TensorIndex,Bit,masked\n", "the header lacks n_injections"),
        ("Injection,Layer,TensorIndex,Bit,Bit\n", "the header has Bit twice"),
        ('Injection,Layer,TensorIndex,Bit\n0,conv1,"(1, 2', "line 2"),
        ("<!DOCTYPE html><html>", "the header lacks"),
    ],
)
def test_what_is_no_fault_list_is_said_to_be_none(text: str, why: str) -> None:
    with pytest.raises(BadFaultList, match=why):
        parse(text)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFaultList, match="UTF-8"):
        read(tmp_path / "list.csv")


def test_counts_that_do_not_add_up_are_said_and_kept() -> None:
    with pytest.warns(UserWarning, match=r"n_injections is not .* in 1 row \(line 3\)"):
        found = parse(LIST.replace(",9071", ",9070"))
    assert found.counts == [COUNTS[0], Counts(10000, 0, 929, 9070)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse(LIST)


names = st.text(string.ascii_letters + string.digits + "._", min_size=1, max_size=8)
fault = st.builds(
    WeightFault,
    names,
    st.lists(st.integers(0, 999), min_size=1, max_size=5).map(tuple),
    st.integers(0, 31),
    st.sampled_from(KINDS),
    st.integers(0, 2**32 - 1),
)
count = st.lists(st.integers(0, 10**6), min_size=6, max_size=6).map(lambda n: Counts(sum(n[:3]), *n))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(fault, count), unique_by=lambda pair: pair[0]), st.booleans())
def test_what_is_written_is_read_and_written_again_to_the_byte(pairs: list, has_counts: bool) -> None:
    faults, counts = [f for f, _ in pairs], [c for _, c in pairs] if has_counts else None
    text = to_text(faults, counts, every_count=True)
    found = parse(text)
    assert (found.faults, found.counts) == (faults, counts)
    assert to_text(*found[:3], every_count=True) == text


HEADER = "Injection,Layer,TensorIndex,Bit\n"
pieces = st.sampled_from(
    [HEADER, "n_injections", "0", "conv1", '"(3, 0, 2, 1)"', ",", "\n", "\r", '"', "\0", "(", "-1"]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(pieces, max_size=30).map("".join)), st.booleans())
def test_whatever_the_text_there_are_good_faults_or_one_error_with_lines(text: str, with_header: bool) -> None:
    text = ("Injection,Layer,TensorIndex,Bit\n" if with_header else "") + text
    try:
        found = parse(text, SHAPES)
    except BadFaultList as error:
        assert error.rows and all(1 <= row.line <= text.count("\n") + text.count("\r") + 1 for row in error.rows)
        return
    assert {problem(f, SHAPES) for f in found.faults} <= {""}
    assert parse(to_text(found.faults, None, found.numbers), SHAPES) == found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_damaged_place_is_an_error_or_a_list_of_valid_faults(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(LIST) - 1))
    text = LIST[:place] + data.draw(st.text(max_size=3)) + LIST[place + data.draw(st.integers(0, 3)) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = parse(text, SHAPES)
        except BadFaultList:
            return
    assert {problem(f, SHAPES) for f in found.faults} <= {""}
    assert found.counts is None or len(found.counts) == len(found.faults)


def test_writing_needs_one_count_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 faults"):
        write(tmp_path / "list.csv", FAULTS, COUNTS[:1])
    assert not (tmp_path / "list.csv").exists()
    write(tmp_path / "list.csv", FAULTS, COUNTS)
    assert (tmp_path / "list.csv").read_bytes() == LIST.encode()


@pytest.mark.data
def test_the_published_lists_are_written_again_to_the_byte() -> None:
    for name, shapes in [("ResNet20_FL.csv", resnet(20)), ("ResNet20_TF_FL.csv", keras_shapes(resnet(20)))]:
        found = read(published_lists() / name, shapes)
        assert to_text(*found[:3]).encode() == (published_lists() / name).read_bytes()


@pytest.mark.data
def test_the_lists_of_pytorch_and_tensorflow_are_each_other_converted() -> None:
    shapes = resnet(20)
    torch_list = read(published_lists() / "ResNet20_FL.csv", shapes).faults
    tf_list = read(published_lists() / "ResNet20_TF_FL.csv", keras_shapes(shapes)).faults
    assert to_tensorflow(torch_list, shapes) == tf_list
    assert from_tensorflow(tf_list, shapes) == torch_list


def test_conversion_addresses_the_same_weight_of_the_transposed_array() -> None:
    shapes = {"a": (4, 3, 2, 5), "b": (6, 7), "c": (3, 4, 1, 1)}
    for (layer, shape), name in zip(shapes.items(), ("conv2d", "dense", "conv2d_1"), strict=True):
        weight = np.arange(np.prod(shape)).reshape(shape)
        kernel = weight.transpose(2, 3, 1, 0) if len(shape) == 4 else weight.T
        faults = [WeightFault(layer, index, 3) for index in np.ndindex(shape)]
        converted = to_tensorflow(faults, shapes)
        assert {f.layer for f in converted} == {name}
        assert [kernel[f.index] for f in converted] == weight.ravel().tolist()
        assert from_tensorflow(converted, shapes) == faults
    with pytest.raises(ValueError, match="no such layer"):
        to_tensorflow([WeightFault("d", (0, 0), 3)], shapes)
    with pytest.raises(ValueError, match="4 dimensions of a convolution"):
        to_tensorflow([], {"lstm": (3, 4, 5)})


def test_summaries_add_up_whichever_way() -> None:
    faults = [WeightFault(layer, (i,), bit) for layer in "ab" for i in range(3) for bit in (0, 30)]
    counts = [Counts(10, 10 - i, 0, i, 0, 0, 1) for i in range(12 - 2)] + [Counts(10, 0, 10, 0)] * 2
    total = sum(counts)
    for by in ("layer", "bit", "kind", ("layer", "bit"), ()):
        assert sum(summed(faults, counts, by).values()) == total
    assert summed(faults, counts, ())[()] == total
    assert summed(faults, counts, ("layer", "bit"))["a", 30].critical == 1 + 3 + 5
    with pytest.raises(ValueError, match="cannot sum by 'index'"):
        summed(faults, counts, "index")
    with pytest.raises(ValueError, match="no injections"):
        shares(Counts(0, 0, 0, 0))


@pytest.mark.data
def test_the_published_totals_of_resnet20() -> None:
    found = read(published_lists() / "ResNet20_FL.csv")
    total = shares(sum(found.counts or []))
    assert [round(share, 2) for share in total.values()] == [41.65, 57.07, 1.28]
    by_bit = summed(found.faults, found.counts or [], "bit")
    critical = sum(counts.critical for counts in by_bit.values())
    assert by_bit[30].critical / critical == pytest.approx(0.98, abs=0.005)


@pytest.mark.data
def test_the_published_run_masked_every_fault_that_tf32_does_not_see() -> None:
    import torch

    from gridrun.faults.injection import faulty_weight

    path = Path(os.environ["GRIDRUN_DATA"]) / "weights" / "ResNet20.th"
    saved = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    found = read(published_lists() / "ResNet20_FL.csv", resnet(20))
    masked = []
    for fault, counts in zip(found.faults, found.counts or [], strict=True):
        if fault.layer.startswith("layer3"):
            weight = saved[f"module.{fault.layer}.weight"]
            if torch.equal(tf32(faulty_weight(weight, fault)), tf32(weight[fault.index])):
                masked.append(counts.masked)
    assert masked == [10_000] * 4_721
