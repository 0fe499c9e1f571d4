"""The synthetic heartbeats and tones: what their docstrings say, by other roads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gridrun import data
from gridrun.data import synthetic_ecg, tones
from gridrun.data.mfcc import features


def nearest_centre(x: Tensor, y: Tensor, tests: Tensor, n_classes: int) -> Tensor:
    """The simplest classifier: the class whose mean training sample is nearest."""
    centres = torch.stack([x[y == k].mean(0).flatten() for k in range(n_classes)])
    return torch.cdist(tests.flatten(1), centres).argmin(1)


def test_heartbeats_of_a_seed_are_the_same_and_those_of_another_others() -> None:
    first, second, other = (synthetic_ecg.beats(40, seed) for seed in (3, 3, 4))
    assert torch.equal(first[0], second[0])
    assert (first[0] - other[0]).flatten(1).abs().amax(1).min() > 0.1
    assert not torch.equal(data.load("synthetic_ecg").train[0][:400], data.test_images("synthetic_ecg")[0])


def test_each_lead_of_each_heartbeat_has_mean_0_and_std_1() -> None:
    beats, _ = synthetic_ecg.beats(40, 0)
    assert beats.shape == (40, 100, 2) and beats.dtype == torch.float32
    assert torch.allclose(beats.mean(1), torch.zeros(40, 2), atol=1e-5)
    assert torch.allclose(beats.std(1, correction=0), torch.ones(40, 2), atol=1e-4)


def test_the_mean_normal_and_ventricular_beat_have_the_waves_of_their_table() -> None:
    beats, kinds = synthetic_ecg.beats(2000, 0)
    normal, ventricular = (beats[kinds == kind].mean(0)[:, 0] for kind in (0, 2))
    assert normal.argmax() == ventricular.argmax() == 50  # the R peak
    p_wave, t_wave = slice(15, 25), slice(80, 95)  # around -0.17 s and 0.2 s, at 180 Hz
    assert normal[p_wave].max() > normal[:10].mean() + 0.2  # a P wave; none in the other
    assert abs(ventricular[p_wave].max() - ventricular[:10].mean()) < 0.1
    assert normal[t_wave].max() > 0.3 and ventricular[t_wave].min() < -0.5
    widths = [(lead > lead.max() / 2).sum().item() for lead in (normal, ventricular)]
    assert widths[1] >= 1.5 * widths[0]  # the QRS complex is broad


def test_heartbeats_are_told_apart_neither_by_chance_nor_without_error() -> None:
    splits = data.load("synthetic_ecg")
    found = nearest_centre(*splits.train, splits.test[0], 4)
    right = (found == splits.test[1]).float().mean()
    assert 0.75 < right < 0.97  # a network may do better: a quarter is chance
    turned = splits.train[1].roll(1)
    wrong = nearest_centre(splits.train[0], turned, splits.test[0], 4)
    assert (wrong == splits.test[1]).float().mean() < 0.25


def test_validation_heartbeats_leave_the_training_ones() -> None:
    whole, split = data.load("synthetic_ecg"), data.load("synthetic_ecg", validation_fraction=0.25)
    assert split.validation is not None
    together = torch.cat([split.train[0], split.validation[0]]).flatten(1)
    assert sorted(together.tolist()) == sorted(whole.train[0].flatten(1).tolist())
    assert torch.equal(split.test[0], whole.test[0])


def test_a_word_and_its_reverse_differ_only_in_order() -> None:
    """The first half of the one is like the second half of the other, not like its first."""
    rng = np.random.default_rng(0)
    ai, ia = (features(tones.word(name, rng) for _ in range(40)).mean(0) for name in ("ai", "ia"))
    before, after = slice(20, 45), slice(55, 80)
    same = np.linalg.norm(ai[before].mean(0) - ia[after].mean(0))
    other = np.linalg.norm(ai[before].mean(0) - ia[before].mean(0))
    assert same < other / 2


def test_a_held_vowel_has_its_formants_in_its_spectrum() -> None:
    rng = np.random.default_rng(1)
    power = sum(np.abs(np.fft.rfft(tones.word("aa", rng))) ** 2 for _ in range(40))
    near = [power[int(f * 0.8) : int(f * 1.2)].mean() for f in tones.VOWELS_HZ["a"]]  # a bin is 1 Hz
    assert min(near) > 10 * power[2500:4000].mean()


def test_tones_are_features_of_known_labels_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tones, "N_TRAIN", 48)
    monkeypatch.setattr(tones, "N_TEST", 16)
    splits = data.load("tones", validation_fraction=0.25)
    assert splits.validation is not None
    assert [tuple(part[0].shape) for part in (splits.train, splits.validation, splits.test)] == [
        (36, 98, 40),
        (12, 98, 40),
        (16, 98, 40),
    ]
    assert splits.test[1].tolist() == [*range(8), *range(8)] and splits.n_classes == 8
    both = torch.cat([splits.train[0], splits.validation[0]])
    assert torch.allclose(both.mean((0, 1)), torch.zeros(40), atol=1e-4)
    assert torch.allclose(both.std((0, 1)), torch.ones(40), atol=1e-3)
    monkeypatch.setattr(tones, "_made", None)  # kept: not made again
    assert torch.equal(data.test_images("tones")[0], splits.test[0])


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("name", "n_epochs", "chance", "learnt"), [("synthetic_ecg", 10, 0.25, 0.55), ("tones", 12, 0.125, 0.45)]
)
def test_a_small_lsnn_learns_what_an_untrained_one_guesses(
    name: str, n_epochs: int, chance: float, learnt: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gridrun.nn.lsnn import LSNN
    from gridrun.training.seeding import generator

    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    splits = data.load(name)
    network = LSNN(data.about(name).sample_shape, splits.n_classes, n_hidden=32, generator=generator(0, "weights"))

    def right() -> float:
        with torch.no_grad():
            return (network(splits.test[0]).argmax(1) == splits.test[1]).float().mean().item()

    assert right() < 1.6 * chance
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for epoch in range(n_epochs):
        for batch in torch.randperm(len(splits.train[1]), generator=generator(0, "order", epoch)).split(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(splits.train[0][batch]), splits.train[1][batch]).backward()
            optimizer.step()
    assert right() > learnt
