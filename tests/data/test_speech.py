"""Speech from WAV files made here: which clip goes where, and that the features are those of the sounds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from gridrun import data
from gridrun.data import speech_commands, speech_kws01, spoken_digits
from gridrun.data.copies import copy_of
from gridrun.data.mfcc import mfcc
from gridrun.data.waves import read_wave


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))


def tone(path: Path, hertz: float, n: int = 16_000, rate: int = 16_000) -> np.ndarray:
    """A WAV file of a tone; its 16-bit samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.round(8000 * np.sin(2 * np.pi * hertz * np.arange(n) / rate)).astype(np.int16)
    wavfile.write(path, rate, samples)
    return samples


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Seven clips of each of six words and of two others, one of them on each list, and a noise of three seconds."""
    folder = tmp_path / speech_commands.FOLDER
    for i, name in enumerate([*speech_commands.WORDS, "bed", "cat"]):
        for speaker in "abcdefg":
            tone(folder / name / f"{speaker}_nohash_0.wav", 200 + 100 * i + 7 * ord(speaker) % 50)
    tone(folder / "_background_noise_" / "hum.wav", 50, 48_000)
    words = [*speech_commands.WORDS, "bed", "cat"]
    (folder / "validation_list.txt").write_text("".join(f"{word}/b_nohash_0.wav\n" for word in words))
    (folder / "testing_list.txt").write_text("".join(f"{word}/c_nohash_0.wav\n" for word in words))
    return tmp_path


def chosen(part: str, root: Path) -> list[tuple[str, str, int]]:
    """(word, speaker, class) of each clip."""
    clips = speech_commands.clips(part, root / speech_commands.FOLDER)
    return [(path.parent.name, path.name[0], label) for path, label, _, _ in clips]


def test_the_published_lists_make_the_parts(commands: Path) -> None:
    for part, speakers in [("train", "adefg"), ("validation", "b"), ("test", "c")]:
        spoken = [clip for clip in chosen(part, commands) if clip[2] > 1]
        wanted = [(word, s, 2 + i) for i, word in enumerate(speech_commands.WORDS) for s in speakers]
        assert sorted(spoken) == sorted(wanted)
        unknown = [clip for clip in chosen(part, commands) if clip[2] == 1]
        assert {word for word, _, _ in unknown} <= {"bed", "cat"} and {s for _, s, _ in unknown} <= set(speakers)
        silence = [clip for clip in chosen(part, commands) if clip[2] == 0]
        assert len(silence) == len(unknown) == int(np.ceil(len(wanted) / 10))


def test_training_clips_are_all_the_others_and_no_noise(commands: Path) -> None:
    folder = commands / speech_commands.FOLDER
    words = [*speech_commands.WORDS, "bed", "cat"]
    wanted = sorted(f"{word}/{speaker}_nohash_0.wav" for word in words for speaker in "adefg")
    assert speech_commands.names_of("train", folder) == wanted


def test_commands_are_the_standardised_features_of_their_files(commands: Path) -> None:
    splits = data.load("speech_commands", commands, validation_fraction=0.1)
    assert splits.validation is not None and splits.n_classes == 8
    assert [len(part[1]) for part in (splits.train, splits.validation, splits.test)] == [36, 8, 8]
    paths = [path for path, *_ in speech_commands.clips("train", commands / speech_commands.FOLDER)[:30]]
    by_hand = np.concatenate([mfcc(read_wave(path, 16_000)[None]) for path in paths])
    scaled = splits.train[0][:30].numpy()
    assert np.allclose(by_hand - by_hand[:1], (scaled - scaled[:1]) * std_of(by_hand, scaled), atol=1e-2)
    assert torch.allclose(splits.train[0].mean((0, 1)), torch.zeros(40), atol=1e-4)
    assert torch.equal(data.test_images("speech_commands", commands)[0], splits.test[0])
    assert data.load("speech_commands", commands).validation is None


def std_of(features: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """The std (40,) by which features were divided, from their spreads."""
    return features.std((0, 1)) / scaled.std((0, 1))


def test_silence_is_a_piece_of_the_noise_at_its_loudness(commands: Path) -> None:
    folder = commands / speech_commands.FOLDER
    hum = folder / "_background_noise_" / "hum.wav"
    pieces = speech_commands.silences(200, [hum], np.random.default_rng(0))
    first, loudness = np.array([clip[2] for clip in pieces]), np.array([clip[3] for clip in pieces])
    assert first.min() >= 0 and 25_000 < first.max() <= 32_000
    assert 0 <= loudness.min() < 0.1 and 0.9 < loudness.max() < 1
    (sound,) = speech_commands._sounds([(hum, 0, 1000, 0.5)])
    assert np.allclose(sound, 0.5 * read_wave(hum, 16_000)[1000:17_000])


def test_a_changed_file_is_read_again(commands: Path) -> None:
    before = data.load("speech_commands", commands).test[0]
    path = commands / speech_commands.FOLDER / "yes" / "c_nohash_0.wav"
    tone(path, 3000)
    os.utime(path, ns=(1, 1))
    after = data.load("speech_commands", commands).test[0]
    is_other = (before != after).flatten(1).any(1)
    assert is_other.tolist() == [name == "yes" for name in [*sorted(speech_commands.WORDS), "unknown", "silence"]]


def test_absent_and_damaged_commands_are_named(commands: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no validation_list.txt in .*v0.02: fetch https://.*v0.02.tar.gz"):
        data.load("speech_commands", tmp_path / "nowhere")
    (commands / speech_commands.FOLDER / "no" / "a_nohash_0.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"no/a_nohash_0\.wav cannot be read as a WAV file"):
        data.load("speech_commands", commands)
    tone(commands / speech_commands.FOLDER / "no" / "a_nohash_0.wav", 100, rate=8000)
    with pytest.raises(ValueError, match="has 8000 Hz, int16, shape .*; want 16000 Hz, int16, one channel"):
        data.load("speech_commands", commands)


def digit_files(root: Path) -> dict[tuple[int, str, int], np.ndarray]:
    """Clips of two digits and two speakers, indices 0, 4, 5 and 12, in the repository's layout."""
    return {
        (digit, speaker, index): tone(
            root / "fsdd" / "recordings" / f"{digit}_{speaker}_{index}.wav", 300 + 200 * digit + index, 3000, 8000
        )
        for digit in (0, 7)
        for speaker in ("jack_son", "theo")
        for index in (0, 4, 5, 12)
    }


def test_digits_with_indices_below_five_are_the_test(tmp_path: Path) -> None:
    digit_files(tmp_path)
    splits = data.load("spoken_digits", tmp_path)
    assert splits.train[0].shape == splits.test[0].shape == (8, 98, 40)
    assert splits.test[1].bincount().tolist() == [4, 0, 0, 0, 0, 0, 0, 4] == splits.train[1].bincount().tolist()
    assert torch.allclose(splits.train[0].std((0, 1), correction=0), torch.ones(40), atol=1e-3)


def test_wav_files_and_the_one_file_give_the_same(tmp_path: Path) -> None:
    clips = digit_files(tmp_path / "waves")
    (tmp_path / "one" / "fsdd").mkdir(parents=True)
    order = sorted(clips, key=lambda key: f"{key[0]}_{key[1]}_{key[2]}.wav")
    arrays = {
        "audio": np.concatenate([clips[key] for key in order]),
        "offset": np.cumsum([0, *(len(clips[key]) for key in order)]),
        "digit": np.array([key[0] for key in order], np.uint8),
        "index": np.array([key[2] for key in order], np.uint8),
    }
    np.savez(tmp_path / "one" / "fsdd" / "fsdd.npz", **arrays)
    waves, one = (data.load("spoken_digits", tmp_path / name) for name in ("waves", "one"))
    assert torch.equal(waves.train[0], one.train[0]) and torch.equal(waves.test[1], one.test[1])
    assert torch.equal(data.test_images("spoken_digits", tmp_path / "one")[0], waves.test[0])


def test_eight_kilohertz_become_sixteen() -> None:
    slow, fast = (np.sin(2 * np.pi * 440 * np.arange(rate) / rate) for rate in (8000, 16_000))
    assert np.abs(spoken_digits.at_16_khz(slow) - fast)[100:-100].max() < 0.01


def test_absent_digits_and_features_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no recordings/.* and no fsdd.npz in .*git clone https://github.com"):
        data.load("spoken_digits", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no tst_.* and no kws01_mfcc_int8.npz in .*energyrunner"):
        data.load("speech_kws01", tmp_path)


def test_stored_features_are_read_published_or_packed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(-128, 128, (48, 49, 10)).astype(np.int8), np.arange(48).astype(np.uint8) % 12
    for name in ("published", "packed"):
        (tmp_path / name / "speech_kws01").mkdir(parents=True)
    np.savez(tmp_path / "packed" / "speech_kws01" / "kws01_mfcc_int8.npz", x=x, y=y)
    for i, (features, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "published" / "speech_kws01" / f"tst_{i:06}_Word_{label}.bin").write_bytes(features.tobytes())
    first, second = (data.load("speech_kws01", tmp_path / name, 0.25) for name in ("published", "packed"))
    assert torch.equal(first.train[0], second.train[0]) and torch.equal(first.test[1], second.test[1])
    assert first.validation is not None
    assert [len(part[1]) for part in (first.train, first.validation, first.test)] == [27, 9, 12]  # one of 4 is a test
    both = torch.cat([first.train[0], first.validation[0]]).double()
    assert torch.allclose(both.mean((0, 1)), torch.zeros(10, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(both.std((0, 1), correction=0), torch.ones(10, dtype=torch.float64), atol=1e-5)


def test_damaged_stored_features_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "speech_kws01"
    folder.mkdir()
    np.savez(folder / "kws01_mfcc_int8.npz", x=np.zeros((2, 49, 10), np.float32), y=np.zeros(2))
    with pytest.raises(ValueError, match=r"npz has float32 of shape \(2, 49, 10\); want int8"):
        speech_kws01.read(folder)
    (folder / "tst_000000_Stop_7.bin").write_bytes(b"1234")
    with pytest.raises(ValueError, match=r"tst_000000_Stop_7\.bin has 4 bytes, not 490"):
        speech_kws01.read(folder)
    (folder / "tst_000000_Stop_7.bin").rename(folder / "tst_000000_Stop_70.bin")
    with pytest.raises(ValueError, match="says class '70'; there are 0 to 11|has 4 bytes"):
        speech_kws01.read(folder)


@pytest.mark.data("speech_kws01")
def test_the_real_features_have_twelve_classes() -> None:
    splits = data.load("speech_kws01")
    assert len(splits.train[1]) + len(splits.test[1]) == 1000
    assert splits.train[0].shape[1:] == (49, 10) and splits.test[1].unique().tolist() == list(range(12))


@pytest.mark.data("fsdd")
def test_the_real_digits_are_told_apart_by_their_centres() -> None:
    """300 test clips, 30 a digit; the nearest mean of the training clips is right far above chance."""
    if part := copy_of("spoken_digits"):
        pytest.skip(f"needs all clips, GRIDRUN_DATA has {part}")
    splits = data.load("spoken_digits")
    (x, y), (tests, labels) = splits.train, splits.test
    assert len(y) == 2700 and labels.bincount().tolist() == [30] * 10
    centres = torch.stack([x[y == digit].mean(0).flatten() for digit in range(10)])
    right = (torch.cdist(tests.flatten(1), centres).argmin(1) == labels).float().mean()
    assert right > 0.5
