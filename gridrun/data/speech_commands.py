"""Speech Commands v0.02 (Warden 2018, arXiv 1804.03209; CC BY 4.0): six words, silence and unknown words, as MFCC.

Read from `SpeechCommands/speech_commands_v0.02` under the data folder (torchaudio's layout), a folder of WAV files a
word. Validation and test clips are those of the published lists, whose speakers are in no other part. "Unknown" are
clips of other words, "silence" seconds of the long noises at random loudness, each a tenth as many as there are clips
of the six words in a part, as in the code of Buechel, Faber and Muir (ICLR 2022); they are drawn once and for all. That
code also mixes noise into training clips and shifts them; this does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .folders import data_folder, md5_of
from .mfcc import FEATURES_VERSION, RATE_HZ, features, standardized_coefficients
from .prepared import Arrays, prepared
from .splits import Images, Splits
from .waves import read_wave, stamp_of

ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
FOLDER = "SpeechCommands/speech_commands_v0.02"
WORDS = ["yes", "no", "up", "down", "left", "right"]  # the first six of the ten that Warden proposes
CLASSES = ["silence", "unknown", *WORDS]
N_CLASSES = len(CLASSES)
NOISES = "_background_noise_"
SHARE = 0.1  # of silence, and of unknown words
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
SEED = 0

Clip = tuple[Path, int, int, float]  # file, class, first sample, loudness


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """Features (n, 98, 40), standardised by the training clips.

    Any `validation_fraction` above 0 gives the published validation clips; they are never trained on.
    Raises FileNotFoundError where the files are not.
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction={validation_fraction!r}: want 0 <= fraction < 1")
    arrays = {part: _features(part, data_dir) for part in ("train", "validation", "test")}
    parts = {part: _images(arrays[part], arrays["train"]) for part in arrays}
    return Splits(parts["train"], parts["validation"] if validation_fraction else None, parts["test"], N_CLASSES)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The test clips; standardising takes the training clips."""
    return _images(_features("test", data_dir), _features("train", data_dir))


def _images(arrays: Arrays, training: Arrays) -> Images:
    found = standardized_coefficients(arrays["features"], training["features"])
    return torch.from_numpy(found), torch.from_numpy(arrays["labels"].astype(np.int64))


def _features(part: str, data_dir: str | Path | None) -> Arrays:
    chosen = clips(part, folder_of(data_dir))
    drawn = " ".join(f"{label} {first} {loudness}" for _, label, first, loudness in chosen)
    stamp = md5_of(f"{stamp_of([path for path, *_ in chosen])} {drawn}".encode())

    def read() -> Arrays:
        labels = np.array([label for _, label, _, _ in chosen], np.uint8)
        return {"features": features(_sounds(chosen)), "labels": labels}

    return prepared(f"speech_commands/1/{FEATURES_VERSION}/{stamp}", ["features", "labels"], read)


def _sounds(chosen: list[Clip]) -> Iterator[np.ndarray]:
    for path, _, first, loudness in chosen:
        yield loudness * read_wave(path, RATE_HZ)[first : first + RATE_HZ]


def folder_of(data_dir: str | Path | None) -> Path:
    """The folder of the words; FileNotFoundError, with the address, where it is not."""
    folder = data_folder(data_dir) / FOLDER
    for name in [*LISTS.values(), *WORDS, NOISES]:
        if not (folder / name).exists():
            raise FileNotFoundError(
                f"no {name} in {folder.resolve()}: fetch {ADDRESS} and unpack it there, "
                "or set data_dir or GRIDRUN_DATA to a folder in torchaudio's layout"
            )
    return folder


def clips(part: str, folder: Path) -> list[Clip]:
    """What a part ("train", "validation" or "test") is made of."""
    rng = np.random.default_rng([SEED, *part.encode()])
    names = names_of(part, folder)
    spoken = [(folder / name, CLASSES.index(_word(name)), 0, 1.0) for name in names if _word(name) in WORDS]
    others = [name for name in names if _word(name) not in WORDS]
    n = math.ceil(SHARE * len(spoken))
    unknown = [(folder / others[i], CLASSES.index("unknown"), 0, 1.0) for i in rng.permutation(len(others))[:n]]
    return [*spoken, *unknown, *silences(n, sorted((folder / NOISES).glob("*.wav")), rng)]


def names_of(part: str, folder: Path) -> list[str]:
    """Files of a part, as word/file.wav, sorted: those that a list names, or those that none does."""
    listed = {name: set((folder / file).read_text().split()) for name, file in LISTS.items()}
    if part in listed:
        return sorted(listed[part])
    there = (f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.wav"))
    return sorted(name for name in there if _word(name) != NOISES and name not in set.union(*listed.values()))


def silences(n: int, noises: list[Path], rng: np.random.Generator) -> list[Clip]:
    """`n` seconds of the noises, from anywhere in them, at loudness 0 to 1."""
    if not noises:
        raise FileNotFoundError(f"no noises in {NOISES}: fetch {ADDRESS} again")
    lengths = [len(read_wave(path, RATE_HZ)) for path in noises]
    found = []
    for _ in range(n):
        i = int(rng.integers(len(noises)))
        first = int(rng.integers(max(lengths[i] - RATE_HZ, 0) + 1))
        found.append((noises[i], CLASSES.index("silence"), first, float(rng.uniform())))
    return found


def _word(name: str) -> str:
    return name.partition("/")[0]
