"""Heartbeats from records made here with wfdb, and from the real ones by a reading of our own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gridrun import data
from gridrun.data import ecg, ecg_by_record
from gridrun.data.copies import RECORDS
from gridrun.data.prepared import Arrays
from gridrun.data.splits import Splits

pytest.importorskip("wfdb", reason="needs wfdb: pip install gridrun[ecg]")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))


def waves(n: int) -> np.ndarray:
    """Two leads (n, 2), slow enough that halving the rate loses nothing."""
    t = np.arange(n) / 360
    return np.stack([np.sin(2 * np.pi * 5 * t) + 0.3 * t, np.cos(2 * np.pi * 7 * t)], 1)


def write(folder: Path, name: str, marks: dict[int, str], leads: tuple[str, ...] = ("MLII", "V1")) -> Path:
    """A record of 4,000 samples in `folder`/mitdb with annotations {place: symbol}."""
    import wfdb

    under = folder / "mitdb"
    under.mkdir(exist_ok=True, parents=True)
    signals = waves(4000)[:, [0 if lead == "MLII" else 1 for lead in leads]]
    formats = {"units": ["mV"] * len(leads), "sig_name": list(leads), "fmt": ["212"] * len(leads)}
    wfdb.wrsamp(name, 360, p_signal=signals, write_dir=str(under), **formats)
    wfdb.wrann(name, "atr", np.array(sorted(marks)), [marks[place] for place in sorted(marks)], write_dir=str(under))
    return under / name


MARKS = {150: "N", 400: "+", 600: "V", 1001: "A", 1400: "F", 1700: "/", 2100: "L", 2500: "Q", 3000: "e", 3990: "V"}


@pytest.mark.filterwarnings("ignore")  # of pandas, about wfdb's use of it
def test_a_beat_is_the_samples_around_its_peak(tmp_path: Path) -> None:
    found = ecg.read(write(tmp_path, "100", MARKS))
    assert found["labels"].tolist() == [0, 2, 1, 3, 0, 0]  # what is no beat or not AAMI's four, or cut off, is left out
    assert set(found["records"].tolist()) == {100}
    signals = waves(4000)
    for beat, place in zip(found["beats"], [150, 600, 1000, 1400, 2100, 3000], strict=True):
        window = signals[place - 100 : place + 100 : 2]
        by_hand = (window - window.mean(0)) / window.std(0)
        assert np.abs(beat - by_hand).max() < 0.03


@pytest.mark.filterwarnings("ignore")
def test_the_main_lead_comes_first_wherever_it_is(tmp_path: Path) -> None:
    straight = ecg.read(write(tmp_path / "a", "114", MARKS))
    turned = ecg.read(write(tmp_path / "b", "114", MARKS, ("V1", "MLII")))
    assert np.allclose(straight["beats"], turned["beats"], atol=1e-6)


def test_halving_the_rate_keeps_what_is_slow_and_stops_what_would_alias() -> None:
    t = np.arange(3600) / 360
    slow, fast = (np.sin(2 * np.pi * hertz * t)[:, None] for hertz in (10, 170))
    assert np.abs(ecg.decimated(slow)[100:-100, 0] - slow[::2][100:-100, 0]).max() < 0.02
    assert np.abs(ecg.decimated(fast)[100:-100]).max() < 0.02 < np.abs(fast[::2]).max()


def named_beats(counts: list[int]) -> Arrays:
    """Beats that are their own number, `counts` of each class."""
    labels = np.repeat(np.arange(4), counts).astype(np.uint8)
    beats = np.arange(len(labels), dtype=np.float32)[:, None, None] * np.ones((1, 100, 2), np.float32)
    return {"beats": beats, "labels": labels, "records": np.arange(len(labels)).astype(np.int16) % 300}


def numbers(splits: Splits) -> list[list[int]]:
    assert splits.validation is not None
    return [part[0][:, 0, 0].int().tolist() for part in (splits.train, splits.validation, splits.test)]


def test_no_beat_is_in_two_parts_though_rare_ones_come_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecg, "all_beats", lambda _: named_beats([3000, 35, 900, 400]))
    splits = data.load("ecg", validation_fraction=1 / 9)
    train, validation, test = numbers(splits)
    assert not set(train) & set(validation) and not set(train) & set(test) and not set(validation) & set(test)
    for part, n in [(splits.train, 640), (splits.validation, 80), (splits.test, 80)]:
        assert part is not None and part[1].bincount().tolist() == [n] * 4
    assert [len(set(train)), len(set(validation)), len(set(test))] == [
        640 + 28 + 640 + 320,  # 640 of many; all 28, 640 and 320 that there are: 80 % of 35, 900 (720) and 400
        80 + 3 + 80 + 40,
        80 + 4 + 80 + 40,
    ]


def test_the_test_is_the_same_whatever_is_set_aside_for_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecg, "all_beats", lambda _: named_beats([3000, 35, 900, 400]))
    alone, beside = data.load("ecg"), data.load("ecg", validation_fraction=0.2)
    assert alone.validation is None and alone.train[1].bincount().tolist() == [720] * 4
    assert torch.equal(alone.test[0], beside.test[0]) and torch.equal(data.test_images("ecg")[0], alone.test[0])


def test_by_record_no_patient_is_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = named_beats([3000, 300, 900, 400])
    monkeypatch.setattr(ecg_by_record, "all_beats", lambda _: beats)
    train, validation, test = numbers(data.load("ecg_by_record", validation_fraction=0.1))
    sides = [set(beats["records"][part].tolist()) for part in (train + validation, test)]
    assert sides[1] <= set(ecg_by_record.TEST_RECORDS) and not sides[0] & set(ecg_by_record.TEST_RECORDS)
    assert not set(train) & set(validation)


def test_the_symbols_of_each_class_are_those_of_aamis_table() -> None:
    """ANSI/AAMI EC57, as de Chazal, O'Dwyer and Reilly (2004) print it in their table 1."""
    table = {"N": 0, "L": 0, "R": 0, "e": 0, "j": 0, "A": 1, "a": 1, "J": 1, "S": 1, "V": 2, "E": 2, "F": 3}
    assert table == ecg.CLASS_OF


def test_the_records_are_those_of_aami_and_half_of_them_test() -> None:
    tested = {str(record) for record in ecg_by_record.TEST_RECORDS}
    assert len(RECORDS) == 44 and len(tested) == 22 and tested < set(RECORDS)
    assert not {"102", "104", "107", "217"} & set(RECORDS)  # pacemakers


@pytest.mark.filterwarnings("ignore")
def test_what_is_absent_is_named_with_its_address(tmp_path: Path) -> None:
    address = "https://physionet.org/files/mitdb/1.0.0/"
    with pytest.raises(FileNotFoundError, match=rf"no record of the MIT-BIH .*mitdb: fetch them from {address}"):
        data.load("ecg", tmp_path / "nowhere")
    record = write(tmp_path, "100", MARKS)
    with pytest.raises(ValueError, match=r"no supraventricular beat for the .* part in records 100: fetch more"):
        data.load("ecg", tmp_path, 0.5)
    record.with_suffix(".atr").unlink()
    with pytest.raises(FileNotFoundError, match=rf"no 100\.atr in .*mitdb: fetch {address}100\.atr into it"):
        data.load("ecg", tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_damage_and_other_leads_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the leads V1, V5; want MLII and one more"):
        ecg.read(write(tmp_path, "100", MARKS, ("V1", "V5")))
    record = write(tmp_path, "101", MARKS)
    record.with_suffix(".dat").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"101 cannot be read as a record: \w+"):
        ecg.read(record)


def beat_marks(path: Path) -> list[tuple[int, int]]:
    """(place, code) of MIT annotations, read here: 16-bit words, 6 bits of kind and 10 of time since the last."""
    words, found, place, i = np.frombuffer(path.read_bytes(), "<u2"), [], 0, 0
    while words[i]:
        kind, time = int(words[i]) >> 10, int(words[i]) & 1023
        if kind == 59:  # SKIP: a longer interval follows, high word first
            place, i = place + (int(words[i + 1]) << 16) + int(words[i + 2]), i + 3
            continue
        if kind == 63:  # AUX: a text of `time` bytes follows
            i += 1 + (time + 1) // 2
            continue
        place += time if kind < 60 else 0
        if kind < 50:
            found.append((place, kind))
        i += 1
    return found


def format_212(path: Path) -> np.ndarray:
    """Two signals of 12 bits, two samples in three bytes, read here."""
    low, both, high = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3).astype(np.int32).T
    samples = np.stack([low | (both & 0x0F) << 8, high | (both & 0xF0) << 4], 1)
    return np.where(samples > 2047, samples - 4096, samples)


@pytest.mark.data("mitdb/100.dat", "mitdb/208.dat")
@pytest.mark.parametrize("name", ["100", "208"])
def test_real_beats_by_a_second_reading(name: str) -> None:
    folder = Path(os.environ["GRIDRUN_DATA"]) / "mitdb"
    from scipy.signal import firwin

    found = ecg.beats_of(name)
    code_of = {1: 0, 2: 0, 3: 0, 34: 0, 11: 0, 8: 1, 4: 1, 7: 1, 9: 1, 5: 2, 10: 2, 6: 3}  # N L R e j, A a J S, V E, F
    marks = [(place, code_of[kind]) for place, kind in beat_marks(folder / f"{name}.atr") if kind in code_of]
    signals = format_212(folder / f"{name}.dat")
    whole = [(place, label) for place, label in marks if 100 <= place < len(signals) - 101]
    assert [label for _, label in whole] == found["labels"].tolist()
    kernel = firwin(41, 0.5, window="hamming")
    for i in (1, 700, len(whole) - 2):
        place, _ = whole[i]
        start = place // 2 * 2 - 100
        padded = signals[start - 20 : start + 220]
        window = np.stack([np.convolve(padded[:, lead], kernel, "valid")[::2][:100] for lead in range(2)], 1)
        by_hand = (window - window.mean(0)) / window.std(0)
        assert np.abs(found["beats"][i] - by_hand).max() < 1e-3


@pytest.mark.data("mitdb/100.dat")
def test_record_100_has_the_beats_that_physionet_counts() -> None:
    """2,239 normal, 33 atrial premature and 1 ventricular beat; the first and the last are too near the ends."""
    labels = ecg.beats_of("100")["labels"]
    assert labels.shape[0] >= 2271 and np.bincount(labels)[1:].tolist() == [33, 1]
