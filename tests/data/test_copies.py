"""A part of a data set is another data set: what is trained on it has another key."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gridrun import get
from gridrun.architectures import ecg_lsnn, speech_lsnn
from gridrun.data.copies import RECORDS, copy_of
from gridrun.runner import Options
from gridrun.sweep import Sweep


def put(root: Path, names: list[str]) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


def test_some_records_are_named_and_all_or_none_are_not(tmp_path: Path) -> None:
    some = put(tmp_path / "some", ["mitdb/100.dat", "mitdb/208.dat", "mitdb/102.dat"])
    whole = put(tmp_path / "whole", [f"mitdb/{name}.dat" for name in RECORDS])
    assert copy_of("ecg", some) == copy_of("ecg_by_record", some) == "records 100 208"  # 102 has a pacemaker
    assert copy_of("ecg", whole) is copy_of("ecg", tmp_path / "nowhere") is copy_of("mnist", some) is None


@pytest.mark.parametrize(
    ("name", "folder", "kind"),
    [
        ("spoken_digits", "fsdd/recordings", "wav"),
        ("speech_commands", "SpeechCommands/speech_commands_v0.02/yes", "wav"),
        ("speech_kws01", "speech_kws01", "bin"),
    ],
)
def test_clips_are_counted_anew_when_some_are_added(tmp_path: Path, name: str, folder: str, kind: str) -> None:
    assert copy_of(name, tmp_path) is None
    put(tmp_path, [f"{folder}/{i}.{kind}" for i in range(3)])
    assert copy_of(name, tmp_path) == "3 clips"
    put(tmp_path, [f"{folder}/new.{kind}", f"{folder}/notes.txt"])
    assert copy_of(name, tmp_path) == "4 clips"


def test_the_clips_of_one_file_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "fsdd" / "fsdd.npz"
    path.parent.mkdir()
    for n, told in ((1365, "1365 clips"), (3000, None)):
        np.savez(path, digit=np.zeros(n, np.uint8))
        os.utime(path, ns=(n, n))
        assert copy_of("spoken_digits", tmp_path) == told
    path.write_bytes(b"torn")
    assert copy_of("spoken_digits", tmp_path) is None  # reading it says what is wrong with it


def test_a_network_of_some_records_is_not_that_of_others(tmp_path: Path) -> None:
    folders = [put(tmp_path / "two", ["mitdb/100.dat", "mitdb/208.dat"]), put(tmp_path / "one", ["mitdb/100.dat"])]
    points = [ecg_lsnn.make(dataset="ecg", data_dir=folder) for folder in [*folders, None]]
    assert [get(point, "data_copy") for point in points[:2]] == ["records 100 208", "records 100"]
    sweep = Sweep([*points, points[0]], "train", Options(load=False), ("{*}",), {})
    sweep.look()
    assert len(sweep.misses) == 3  # the fourth point is the first again
    assert get(speech_lsnn.make(), "data_copy") is None
