"""Heartbeats of the MIT-BIH Arrhythmia Database (Moody and Mark, IEEE Eng. Med. Biol. 20, 2001): four classes.

Records, half an hour of 360 Hz each, are read by wfdb from the folder `mitdb` under the data folder, as many as are
there. A beat is the 100 samples around its annotated R peak after halving the rate (0.56 s), each lead of mean 0 and
std 1: (100, 2). The classes are four of the five of AAMI (EC57): normal and bundle branch block, supraventricular
ectopic, ventricular ectopic, fusion; the fifth, paced and unclassifiable beats, is left out with the four records of
pacemakers, as AAMI asks. The networks of Buechel, Faber and Muir (ICLR 2022) had four classes too, of a table that is
not published.

Two data sets: `ecg` splits beats, so beats of one patient are in all parts, as in that code: it says how well a network
knows these patients. `ecg_by_record` (see there) splits patients.

Classes are equal in number in each part. The split comes first, within each class: a tenth of the beats for the test.
Then 720 beats of each class are drawn for training and validation, 80 for the test; of a class that has fewer, some
come more than once (of the 35 supraventricular beats of records 100, 106, 119 and 208, 4 stand for 80), so that
accuracy is the mean over the classes. With all 44 records next to nothing comes twice.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .copies import RECORDS
from .folders import data_folder, md5_of
from .parts import apart, balanced
from .prepared import Arrays, prepared
from .splits import Images, Splits
from .synthetic_ecg import standardized_leads

ADDRESS = "https://physionet.org/files/mitdb/1.0.0/"
CLASSES = {"normal": "NLRej", "supraventricular": "AaJS", "ventricular": "VE", "fusion": "F"}  # wfdb's symbols
CLASS_OF = {symbol: label for label, symbols in enumerate(CLASSES.values()) for symbol in symbols}
N_CLASSES = len(CLASSES)
LENGTH, DECIMATION = 100, 2
TEST_FRACTION, N_TRAIN, N_TEST = 0.1, 720, 80  # beats of each class; training includes validation
MAIN_LEAD = "MLII"
SEED = 0


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """2,880 training and 320 test beats (n, 100, 2), the leads MLII and whichever the record has beside it.

    `validation_fraction=1/9` makes it 80, 10 and 10 %. Raises FileNotFoundError where no record is.
    """
    labels = (beats := all_beats(data_dir))["labels"]
    staying, test = apart(labels, TEST_FRACTION, _stream("test"))
    return parts(beats, staying, test, validation_fraction)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The test beats alone."""
    return load(data_dir).test


def parts(beats: Arrays, staying: np.ndarray, test: np.ndarray, validation_fraction: float) -> Splits:
    """Training, validation and test beats, each with classes of equal number, from places of distinct beats."""
    labels = beats["labels"]
    kept, aside = apart(labels[staying], validation_fraction, _stream("validation"))
    n_aside = round(N_TRAIN * validation_fraction)
    train = _drawn(beats, staying[kept], N_TRAIN - n_aside, "training")
    validation = _drawn(beats, staying[aside], n_aside, "validation") if n_aside else None
    return Splits(train, validation, _drawn(beats, test, N_TEST, "test"), N_CLASSES)


def _drawn(beats: Arrays, places: np.ndarray, per_class: int, part: str) -> Images:
    labels = beats["labels"][places].astype(np.int64)
    for label, name in enumerate(CLASSES):
        if label not in labels:
            there = ", ".join(str(record) for record in np.unique(beats["records"]))
            raise ValueError(
                f"no {name} beat for the {part} part in records {there}: fetch more of the records in {ADDRESS}"
            )
    chosen = places[balanced(labels, per_class, N_CLASSES, _stream(part))]
    return torch.from_numpy(beats["beats"][chosen]), torch.from_numpy(beats["labels"][chosen].astype(np.int64))


def _stream(part: str) -> np.random.Generator:
    return np.random.default_rng([SEED, *part.encode()])


def all_beats(data_dir: str | Path | None = None) -> Arrays:
    """The beats of every record that is there: beats (n, 100, 2) float32, labels (n,), records (n,)."""
    each = [beats_of(name, data_dir) for name in records_there(data_dir)]
    return {key: np.concatenate([arrays[key] for arrays in each]) for key in ("beats", "labels", "records")}


def records_there(data_dir: str | Path | None = None) -> list[str]:
    """Names of the records in the folder; FileNotFoundError, with the address, where there is none."""
    folder = data_folder(data_dir) / "mitdb"
    there = [name for name in RECORDS if (folder / f"{name}.dat").is_file()]
    if not there:
        raise FileNotFoundError(
            f"no record of the MIT-BIH Arrhythmia Database (100.hea, 100.dat, 100.atr, ...) in {folder.resolve()}: "
            f"fetch them from {ADDRESS}, or set data_dir or GRIDRUN_DATA to a folder that has them in mitdb"
        )
    return there


def beats_of(name: str, data_dir: str | Path | None = None) -> Arrays:
    """The beats of one record, kept for the next time under the checksum of its files."""
    folder = data_folder(data_dir) / "mitdb"
    files = [folder / f"{name}.{kind}" for kind in ("hea", "dat", "atr")]
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f"no {path.name} in {folder.resolve()}: fetch {ADDRESS}{path.name} into it")
    stamp = md5_of(b"".join(path.read_bytes() for path in files))
    return prepared(f"mitdb/1/{stamp}", ["beats", "labels", "records"], lambda: read(folder / name))


def read(record: Path) -> Arrays:
    """The beats of a record, straight from its files; ValueError where they are damaged or the leads are others."""
    signals, peaks, symbols = _with_wfdb(record)
    halved = decimated(signals)
    is_wanted = np.array([symbol in CLASS_OF for symbol in symbols], bool)
    middles = peaks[is_wanted] // DECIMATION
    labels = np.array([CLASS_OF[symbol] for symbol in symbols if symbol in CLASS_OF], np.uint8)
    is_whole = (middles >= LENGTH // 2) & (middles + LENGTH // 2 <= len(halved))
    middles, labels = middles[is_whole], labels[is_whole]
    windows = halved[middles[:, None] + np.arange(-LENGTH // 2, LENGTH // 2)]
    number = int(record.name) if record.name.isdigit() else 0
    return {
        "beats": standardized_leads(windows),
        "labels": labels,
        "records": np.full(len(labels), number, np.int16),
    }


def decimated(signals: np.ndarray) -> np.ndarray:
    """Every second sample (n / 2, leads) of signals (n, leads), after a filter without delay."""
    from scipy.signal import decimate

    return decimate(signals, DECIMATION, ftype="fir", axis=0)


def _with_wfdb(record: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Signals (n, 2) in mV, MLII first; places of the annotations in them, and their symbols."""
    wfdb = _wfdb()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas, about wfdb's use of it
            found, annotations = wfdb.rdrecord(str(record)), wfdb.rdann(str(record), "atr")
    except Exception as error:  # damaged files raise anything
        raise ValueError(f"{record} cannot be read as a record: {type(error).__name__}: {error}") from error
    leads = list(found.sig_name)
    if MAIN_LEAD not in leads or len(leads) != 2:
        raise ValueError(f"{record} has the leads {', '.join(leads)}; want {MAIN_LEAD} and one more")
    order = sorted(range(2), key=lambda i: leads[i] != MAIN_LEAD)
    return np.asarray(found.p_signal)[:, order], np.asarray(annotations.sample), list(annotations.symbol)


def _wfdb() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import wfdb
    except ImportError as error:
        raise ImportError('records of heartbeats are read by wfdb: pip install "gridrun[ecg]"') from error
    return wfdb
