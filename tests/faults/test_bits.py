"""Bit faults, against struct and numpy, one number at a time."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gridrun.faults.bits import FORMATS, KINDS, faulty, int8_scale, stored, tf32, values_of, words_of
from gridrun.training.seeding import generator

bounded = settings(max_examples=200, deadline=None)
kinds = st.sampled_from(["flip", "stuck0", "stuck1", "zero"])
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
words32 = st.integers(0, 2**32 - 1)
bits32 = st.integers(0, 31)


def float_of(word: int) -> float:
    return struct.unpack("<f", struct.pack("<I", word))[0]


def tensor_of(words: list[int]) -> torch.Tensor:
    """float32 with exactly these bits, NaNs with their payload too."""
    return torch.from_numpy(np.array(words, dtype=np.uint32).view(np.float32).copy())


def bits_of(values: torch.Tensor) -> list[int]:
    return values.numpy().view(np.uint32).tolist()


BY_HAND = {
    "flip": lambda word, bit: word ^ (1 << bit),
    "stuck0": lambda word, bit: word & ~(1 << bit),
    "stuck1": lambda word, bit: word | (1 << bit),
    "zero": lambda word, bit: 0,
}


@bounded
@given(st.lists(st.tuples(words32, bits32), min_size=1, max_size=20), kinds)
def test_every_word_and_bit_of_fp32_against_whole_numbers_of_python(cells: list, kind: str) -> None:
    found = faulty(tensor_of([w for w, _ in cells]), torch.tensor([b for _, b in cells]), kind)
    assert bits_of(found) == [BY_HAND[kind](w, b) for w, b in cells]


@bounded
@given(st.floats(width=32, allow_nan=False), bits32)
def test_a_flip_against_struct(value: float, bit: int) -> None:
    (word,) = struct.unpack("<I", struct.pack("<f", value))
    found = faulty(torch.tensor(value), bit).item()
    wanted = float_of(word ^ (1 << bit))
    assert found == wanted or (math.isnan(found) and math.isnan(wanted))


@bounded
@given(st.floats(-60000, 60000, width=32), st.integers(0, 15))
def test_fp16_against_numpy(value: float, bit: int) -> None:
    wanted = (np.float16(value).view(np.uint16) ^ np.uint16(1 << bit)).view(np.float16)
    found = faulty(torch.tensor(value, dtype=torch.float32), bit, fmt="fp16")
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(np.float32(found.item()), np.float32(wanted))


@bounded
@given(finite, st.integers(0, 15))
def test_bf16_is_the_upper_half_of_fp32_rounded_to_even(value: float, bit: int) -> None:
    (word,) = struct.unpack("<I", struct.pack("<f", value))
    upper = (word + 0x7FFF + ((word >> 16) & 1)) >> 16
    wanted = float_of((upper ^ (1 << bit)) << 16)
    found = faulty(torch.tensor(value), bit, fmt="bf16").item()
    assert found == wanted or (math.isnan(found) and math.isnan(wanted))


@bounded
@given(st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4), st.integers(0, 7), kinds)
def test_int8_against_twos_complement_of_struct(row: list[float], bit: int, kind: str) -> None:
    step = max(map(abs, row)) / 127
    wanted = []
    for value in row:
        (word,) = struct.pack("<b", round(value / step) if step else 0)
        (read,) = struct.unpack("<b", bytes([BY_HAND[kind](word, bit) & 0xFF]))
        wanted.append(float(np.float32(read * step)))
    assert faulty(torch.tensor([row]), bit, kind, "int8").tolist() == [wanted]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_shape_and_type_stay_and_one_bit_a_value_is_the_loop_over_values(fmt: str, kind: str) -> None:
    values = torch.randn(3, 2, 4, generator=generator(0))
    bits = torch.randint(FORMATS[fmt].bits, values.shape, generator=generator(1))
    found = faulty(values, bits, kind, fmt, generator=generator(2))
    assert found.shape == values.shape and found.dtype == values.dtype
    if kind != "random":
        scale = int8_scale(values).expand_as(values) if fmt == "int8" else torch.zeros_like(values)
        cells = zip(values.flatten(), bits.flatten(), scale.flatten(), strict=True)
        one_by_one = [faulty(v, int(b), kind, fmt, scale=s if fmt == "int8" else None).item() for v, b, s in cells]
        assert torch.equal(torch.nan_to_num(found.flatten()), torch.nan_to_num(torch.tensor(one_by_one)))


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_flip_undoes_itself_and_a_stuck_bit_stays(fmt: str) -> None:
    values = stored(torch.randn(50, 6, generator=generator(0)), fmt)
    scale = int8_scale(values) if fmt == "int8" else None
    before = words_of(values, fmt, scale)
    for bit in range(FORMATS[fmt].bits):
        struck = {kind: words_of_faulty(before, bit, kind, fmt, scale) for kind in ("flip", "stuck0", "stuck1")}
        assert ((struck["flip"] ^ before) == 1 << bit).all()
        assert torch.equal(torch.where(before & (1 << bit) > 0, struck["stuck1"], struck["stuck0"]), before)


def words_of_faulty(words: torch.Tensor, bit: int, kind: str, fmt: str, scale: torch.Tensor | None) -> torch.Tensor:
    form = FORMATS[fmt]
    values = values_of(words, fmt, form.stored if fmt != "int8" else torch.float64, scale)
    return words_of(faulty(values, bit, kind, fmt, scale=scale), fmt, scale)


def test_a_stuck_at_equal_to_the_bit_gives_the_very_bits_back() -> None:
    words = [0x7FA00001, 0xFF800001, 0x80000000, 0x00000001, 0x3F800000]  # signalling NaNs, -0, a denormal, 1
    for bit in range(32):
        for word in words:
            kind = "stuck1" if word >> bit & 1 else "stuck0"
            assert bits_of(faulty(tensor_of([word]), bit, kind)) == [word]


def test_every_fp16_bf16_and_int8_word_reads_as_itself() -> None:
    for fmt in ("fp16", "bf16", "int8"):
        words = torch.arange(FORMATS[fmt].whole + 1)
        scale = torch.tensor(0.37) if fmt == "int8" else None
        values = values_of(words, fmt, torch.float32, scale)
        finite = ~values.isnan()
        assert torch.equal(words_of(values, fmt, scale)[finite], words[finite])


@bounded
@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1))
def test_storing_as_int8_twice_is_storing_once(rows: list[list[float]]) -> None:
    once = stored(torch.tensor(rows), "int8")
    assert torch.equal(stored(once, "int8"), once)


def test_a_scale_a_channel_keeps_small_channels_apart_from_large_ones() -> None:
    values = torch.tensor([[100.0, 50.0], [0.001, -0.0005]])
    steps = int8_scale(values).flatten()
    assert steps.tolist() == [pytest.approx(100 / 127), pytest.approx(0.001 / 127)]
    assert ((stored(values, "int8") - values).abs().amax(1) <= steps * 0.51).all()
    assert faulty(torch.zeros(1, 3), 7, fmt="int8").tolist() == [[0.0, 0.0, 0.0]]


def test_masks_strike_several_bits_and_limit_zero_and_random() -> None:
    one = torch.tensor([1.0])
    assert bits_of(faulty(one, 0, mask=0x80000001)) == [0xBF800001]
    assert bits_of(faulty(one, 0, "stuck0", mask=0x3F000000)) == [0x00800000]
    assert bits_of(faulty(one, 0, "zero", mask=0x3F000000)) == [0x00800000]
    drawn = bits_of(faulty(one.expand(500), 0, "random", mask=0x00000003, generator=generator(0)))
    assert set(drawn) == {0x3F800000, 0x3F800001, 0x3F800002, 0x3F800003}


def test_random_words_are_uniform_bit_by_bit_and_belong_to_their_generator() -> None:
    values = torch.zeros(20_000)
    first, again = (faulty(values, 0, "random", generator=generator(5)) for _ in range(2))
    assert bits_of(first) == bits_of(again)
    words = torch.tensor(bits_of(first))
    share = torch.stack([(words >> bit & 1).double().mean() for bit in range(32)])
    assert (share - 0.5).abs().max().item() < 5 * 0.5 / math.sqrt(20_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 32}, "a bit outside 0..31: 32"),
        ({"bits": -1}, "a bit outside"),
        ({"bits": torch.tensor([3, 40])}, "a bit outside"),
        ({"bits": 16, "fmt": "fp16"}, "a bit outside 0..15"),
        ({"bits": 0, "mask": 1 << 32}, "a mask outside"),
        ({"bits": 0, "kind": "stuck"}, "no kind of fault 'stuck'"),
        ({"bits": 0, "fmt": "fp8"}, "no number format 'fp8'"),
        ({"bits": 0, "kind": "random"}, "give one"),
    ],
)
def test_what_is_outside_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        faulty(torch.zeros(2), **arguments)


def test_a_type_that_cannot_hold_the_words_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        faulty(torch.zeros(2, dtype=torch.float16), 3)
    with pytest.raises(ValueError, match="cannot hold"):
        faulty(torch.zeros(2, dtype=torch.int32), 3)
    with pytest.raises(ValueError, match="finite"):
        faulty(torch.tensor([math.nan]), 3, fmt="int8")


@bounded
@given(st.floats(2**-100, 2**100, width=32), st.sampled_from([1, -1]))
def test_tf32_keeps_ten_bits_of_mantissa_and_rounds_ties_away(value: float, sign: int) -> None:
    mantissa, exponent = math.frexp(value)  # mantissa in [0.5, 1): its first bit is the hidden one
    wanted = math.ldexp(math.floor(mantissa * 2**11 + 0.5), exponent - 11)
    assert tf32(torch.tensor([sign * value])).item() == sign * wanted


def test_tf32_leaves_nan_and_infinity() -> None:
    found = tf32(torch.tensor([math.inf, -math.inf, math.nan, -0.0]))
    assert found[:2].tolist() == [math.inf, -math.inf] and found[2].isnan() and bits_of(found[3:]) == [1 << 31]
