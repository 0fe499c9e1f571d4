"""gridrun accuracy: a made-up CIFAR-10 of 20 images, and the real one."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from gridrun import cli
from gridrun.commands._bar import Bar
from gridrun.commands._network import find_weights
from gridrun.data.cifar10 import CIFAR10
from gridrun.errors import UsageError
from gridrun.nn import zoo

N_IMAGES, N_WRONG = 20, 3


class Done(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def accuracy(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["gridrun", "accuracy", *words])
        status = cli.status_of(cli.app, "gridrun", tmp_path)
        return Done(status, *capsys.readouterr())

    return accuracy


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 20 test images and a ResNet20 that is right on all but the first three."""
    folder = tmp_path / "data"
    (folder / "weights").mkdir(parents=True)
    (folder / CIFAR10.folder).mkdir()
    model = zoo.network("ResNet20", seed=3)
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state}, folder / "weights" / "ResNet20.th")
    pixels = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 3072), dtype=np.uint8)
    labels = logits_by_hand(model, pixels).argmax(1)
    labels[:N_WRONG] = (labels[:N_WRONG] + 1) % 10
    raw = pickle.dumps({"data": pixels, "labels": labels.tolist()}, protocol=2)
    (folder / CIFAR10.folder / "test_batch").write_bytes(raw)
    monkeypatch.setitem(CIFAR10.test, "test_batch", hashlib.md5(raw).hexdigest())  # type: ignore[arg-type]
    monkeypatch.setenv("GRIDRUN_DATA", str(folder))
    return folder


def logits_by_hand(model: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (CIFAR10.mean, CIFAR10.std))
    images = (pixels.reshape(-1, 3, 32, 32) / 255 - mean) / std
    with torch.no_grad():
        return model(torch.from_numpy(images.astype(np.float32))).numpy()


def test_the_accuracy_its_interval_and_the_outputs(run: Run, data_dir: Path, sessions: Path) -> None:
    done = run("-n", "resnet20", "-d", "CIFAR10", "-b", "6")
    assert done.status == 0
    assert done.out.startswith("ResNet20 on cifar10: 85.00 % (17 of 20 right; ")
    (logits,) = sessions.glob("accuracy/ResNet20-cifar10-*-cpu.npy")
    assert str(logits.name) in done.out
    how = json.loads(logits.with_suffix(".json").read_text())
    assert (how["n_correct"], how["n_images"], how["batch_size"], how["device"]) == (17, 20, 6, "cpu")
    assert how["low"] < 0.85 < how["high"] and how["logits_sha256"] == hashlib.sha256(logits.read_bytes()).hexdigest()
    raw = pickle.loads((data_dir / CIFAR10.folder / "test_batch").read_bytes())
    by_hand = logits_by_hand(zoo.network("ResNet20", seed=3), raw["data"])
    assert np.allclose(np.load(logits), by_hand, atol=1e-4)


def test_results_beside_are_no_damage(run: Run, data_dir: Path, sessions: Path) -> None:
    from gridrun.store import Store

    run("-n", "ResNet20")
    store = Store(sessions)
    assert not store.verify() and not store.collect(dry_run=True)


def test_weights_of_ones_own(run: Run, data_dir: Path, tmp_path: Path) -> None:
    torch.save(zoo.network("ResNet20", seed=4).state_dict(), tmp_path / "mine.pt")
    first, second = run("-n", "ResNet20"), run("-n", "ResNet20", "--weights", "mine.pt")
    assert second.status == 0 and first.out.split(";")[0] != second.out.split(";")[0]


@pytest.mark.parametrize(
    ("file", "dataset", "is_found"),
    [
        ("ResNet20.th", "cifar10", True),
        ("resnet20-12fca82f.th", "cifar10", True),
        ("ResNet20_CIFAR10.pt", "cifar10", True),
        ("ResNet20_GTSRB.pt", "gtsrb", True),
        ("ResNet20_GTSRB.pt", "cifar10", False),
        ("ResNet20.th", "gtsrb", False),
        ("ResNet20.md", "cifar10", False),
        ("ResNet200.th", "cifar10", False),
    ],
)
def test_weights_are_found_by_their_published_names(tmp_path: Path, file: str, dataset: str, is_found: bool) -> None:
    (tmp_path / file).write_bytes(b"")
    if is_found:
        assert find_weights(tmp_path, "ResNet20", dataset) == tmp_path / file
    else:
        with pytest.raises(UsageError, match="no weights of ResNet20"):
            find_weights(tmp_path, "ResNet20", dataset)


def test_data_is_fetched_where_it_is_absent_and_asked_for(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = data_dir / CIFAR10.folder / "test_batch"
    raw = batch.read_bytes()
    batch.unlink()

    def download(name: str, folder: Path | None, tell: Callable[[str, int, int], None]) -> None:
        for file in ("a.tar.gz", "b.tar.gz"):
            tell(file, 5, 0)
        batch.write_bytes(raw)

    monkeypatch.setattr("gridrun.data.download.download", download)
    done = run("-n", "ResNet20", "--download")
    told = [line for line in done.err.splitlines() if line.startswith("fetching")]
    assert (done.status, told) == (0, ["fetching a.tar.gz", "fetching b.tar.gz"])
    assert "17 of 20 right" in done.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["-n", "ResNet21"], 2, "no network 'ResNet21' for cifar10; there are ResNet20, "),
        (["-n", "ResNet32"], 2, "no weights of ResNet32 for cifar10 in"),
        (["-n", "ResNet20", "-d", "imagenet"], 2, "for imagenet; there are cifar10, cifar100, gtsrb"),
        (["-n", "ResNet20", "--weights", "nowhere.pt"], 1, "no weights nowhere.pt"),
        (["-n", "ResNet32", "--weights", "data/weights/ResNet20.th"], 2, "does not fit ResNetCifar: missing layer1.3"),
        (["-n", "ResNet20", "-b", "0"], 2, "0 is not in the range"),
        (["-n", "ResNet20", "-d", "gtsrb", "--weights", "gtsrb.pt"], 1, "or add --download"),
    ],
)
def test_what_can_be_mended_is_one_line(
    run: Run, data_dir: Path, tmp_path: Path, words: list[str], status: int, message: str
) -> None:
    torch.save(zoo.network("ResNet20", "gtsrb").state_dict(), tmp_path / "gtsrb.pt")
    done = run(*words)
    assert (done.status, done.out) == (status, "")
    assert message in done.err and "Traceback" not in done.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said_before_anything_is_computed(run: Run, data_dir: Path) -> None:
    done = run("-n", "ResNet20", "--use-cuda")
    assert (done.status, done.out) == (2, "") and "--use-cuda: no GPU" in done.err


def test_what_takes_long_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.5, 2.0, 3.0, 20.0])
    monkeypatch.setattr("gridrun.commands._bar.time.monotonic", lambda: next(clock))
    with Bar("ResNet20", 100, "images") as bar:
        for n in (10, 20, 30, 40):
            bar.to(n)
    told = ["ResNet20: 20 of 100 images, about 8 s left", "ResNet20: 40 of 100 images, about 30 s left"]
    assert capsys.readouterr().err.splitlines() == told


@pytest.mark.slow
@pytest.mark.data
def test_the_published_network_on_the_real_images(run: Run) -> None:
    if not (Path(os.environ["GRIDRUN_DATA"]) / "weights" / "ResNet20.th").is_file():
        pytest.skip("needs the published weights")
    done = run("-n", "ResNet20", "-d", "cifar10", "-b", "500")
    assert done.out.startswith("ResNet20 on cifar10: 91.48 % (9,148 of 10,000 right; 90.73 to 92.17 % at 99 %)")
