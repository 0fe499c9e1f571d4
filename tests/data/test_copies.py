"""A part of a data set is another data set: what is trained on it has another key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridrun import UsageError, get
from gridrun.architectures import ecg_lsnn, speech_lsnn
from gridrun.data.copies import RECORDS, copy_of
from gridrun.runner import Options
from gridrun.sweep import Sweep
from gridrun.tasks.settings import splits

KWS01 = "speech_kws01/kws01_mfcc_int8.npz"


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
    three = copy_of(name, tmp_path)
    put(tmp_path, [f"{folder}/new.{kind}", f"{folder}/notes.txt"])
    four = copy_of(name, tmp_path)
    assert [len(text.split()) for text in (three, four)] == [3, 3]
    assert (three[:7], four[:7]) == ("3 clips", "4 clips")
    (tmp_path / folder / f"new.{kind}").unlink()
    (tmp_path / folder / "notes.txt").unlink()
    assert copy_of(name, tmp_path) == three
    (tmp_path / folder / f"2.{kind}").rename(tmp_path / folder / f"new.{kind}")
    renamed = copy_of(name, tmp_path)
    (tmp_path / folder / f"new.{kind}").write_bytes(b"longer")
    assert len({three, renamed, copy_of(name, tmp_path)}) == 3  # other clips, as many of them


@pytest.mark.parametrize(
    ("name", "file", "whole"), [("spoken_digits", "fsdd/fsdd.npz", 3000), ("speech_kws01", KWS01, 1000)]
)
def test_the_clips_of_one_file_are_named_too(tmp_path: Path, name: str, file: str, whole: int) -> None:
    path = tmp_path / file
    path.parent.mkdir()

    def of(n: int, first: int) -> str | None:
        arrays = dict.fromkeys(("digit", "index", "offset", "x"), np.zeros(n, np.uint8))
        np.savez(path, y=np.arange(n) % 5 + first, **{**arrays, "index": np.arange(n) + first})
        return copy_of(name, tmp_path)

    assert of(whole, 0) is of(whole, 1) is None
    assert of(300, 0)[:9] == of(300, 1)[:9] == "300 clips"
    assert of(300, 0) != of(300, 1)
    path.write_bytes(b"torn")
    assert copy_of(name, tmp_path) is None  # reading it says what is wrong with it


def test_another_part_of_the_data_than_a_point_says_is_not_read(tmp_path: Path) -> None:
    folder = put(tmp_path, ["speech_kws01/kws01_mfcc_int8.npz"])
    labels = np.arange(120, dtype=np.uint8) % 12
    np.savez(tmp_path / KWS01, x=np.zeros((120, 49, 10), np.int8), y=labels)
    point = speech_lsnn.make(dataset="speech_kws01", data_dir=folder)
    assert len(splits(point).train[1]) + len(splits(point).validation[1]) == 96
    with pytest.raises(UsageError, match=r"data_copy=None, but of speech_kws01 .* has '120 clips \w{8}'.*GRIDRUN_DATA"):
        splits({**point, "data_copy": None})


def test_a_network_of_some_records_is_not_that_of_others(tmp_path: Path) -> None:
    folders = [put(tmp_path / "two", ["mitdb/100.dat", "mitdb/208.dat"]), put(tmp_path / "one", ["mitdb/100.dat"])]
    points = [ecg_lsnn.make(dataset="ecg", data_dir=folder) for folder in [*folders, None]]
    assert [get(point, "data_copy") for point in points[:2]] == ["records 100 208", "records 100"]
    sweep = Sweep([*points, points[0]], "train", Options(load=False), ("{*}",), {})
    sweep.look()
    assert len(sweep.misses) == 3  # the fourth point is the first again
    assert get(speech_lsnn.make(), "data_copy") is None
