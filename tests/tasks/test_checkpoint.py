"""Checkpoints of a training: it goes on from where it was stopped, believes no bad file, and survives a full disk."""

from __future__ import annotations

import contextvars
import itertools
import json
import os
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gridrun import UsageError, run
from gridrun.architectures import digits_cnn
from gridrun.session import CURRENT, Session
from gridrun.tasks import checkpoint as module
from gridrun.tasks import settings
from gridrun.tasks import train as task
from gridrun.tasks.checkpoint import Checkpoint, decoded, encoded, interval_s, maker, with_checksum
from gridrun.training import loop
from gridrun.training.state import State, packed, start

POINT = digits_cnn.make(
    n_epochs=[1, 1],
    learning_rate=[1e-2, 1e-4],
    channels=[2, 2],
    hidden=[8],
    beta_robustness=0.25,
    n_attack_steps=1,
    dropout_prob=0.2,
    validation_fraction=0.6,
    checkpoint="best",
)
N_STEPS = 2 * 5
HERE = maker("cpu")


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CHECKPOINT_S", "0")


def trained(**options: Any) -> dict[str, Any]:
    (point,) = run([POINT], "train", store_key="*", **options)("{*}")
    return point


def outcome(point: dict[str, Any]) -> dict[str, Any]:
    """All that a training gives: the bytes of the weights, and the metrics."""
    metrics = {key: value for key, value in point.items() if key.endswith("accuracy") or key in ("loss", "n_steps")}
    return metrics | {name: tensor.numpy().tobytes() for name, tensor in point["weights"].load().items()}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    point = trained(cache_dir=tmp_path_factory.mktemp("unbroken"))
    return outcome(point)


def stopped(n_steps: int, **options: Any) -> Path:
    """Train that many steps, and no further; the folder of the run."""
    count, real = itertools.count(), loop.objective

    def failing(*arguments: Any) -> Any:
        if next(count) == n_steps:
            raise RuntimeError("stopped")
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "objective", failing)
        with pytest.raises(RuntimeError, match="stopped"):
            trained(**options)
    (path,) = Path(os.environ["GRIDRUN_SESSIONS"]).glob("runs/*/checkpoint.safetensors")
    return path.parent


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log since the training was last started."""
    text = (folder / "log.jsonl").read_text()
    return [json.loads(line) for line in text[text.rindex('{"started"') :].splitlines()]


def told(folder: Path, key: str) -> list[Any]:
    return [line[key] for line in log_of(folder) if key in line]


def fresh(**other: Any) -> State:
    return start(settings.network({**POINT, **other}))


@pytest.mark.parametrize("n_steps", [1, 4, 5, 6, 10 - 1])
def test_it_goes_on_where_it_was_stopped_and_ends_in_the_same_bits(n_steps: int, unbroken: dict[str, Any]) -> None:
    folder = stopped(n_steps)
    assert outcome(trained()) == unbroken
    assert told(folder, "resumed") == [n_steps]
    assert sorted(p.name for p in folder.iterdir()) == ["completed", "log.jsonl", "metrics.json", "weights.safetensors"]


def test_stopped_after_the_last_step_it_still_tells_of_the_last_epoch(
    unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(task.files, "finish", raiser(OSError("full")))
        trained()
    point = trained()
    assert outcome(point) == unbroken
    assert told(point["weights"].path.parent, "resumed") == [N_STEPS]


def test_stopped_before_the_store_knows_of_it_nothing_is_trained_again(
    unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="stopped"):
        patch.setattr(task.files, "remove_checkpoint", raiser(RuntimeError("stopped")))
        trained()
    monkeypatch.setattr(loop, "objective", raiser(RuntimeError("trained again")))
    point = trained()
    assert outcome(point) == unbroken
    assert not (point["weights"].path.parent / "checkpoint.safetensors").exists()


def raiser(error: Exception) -> Callable[..., None]:
    def raises(*arguments: Any) -> None:
        raise error

    return raises


def test_stopped_again_and_again(unbroken: dict[str, Any]) -> None:
    for n_steps in (3, 2, 1, 3):
        folder = stopped(n_steps)
    assert told(folder, "resumed") == [6]
    assert outcome(trained()) == unbroken


def test_by_force_it_starts_anew(unbroken: dict[str, Any]) -> None:
    kept = (stopped(3) / "checkpoint.safetensors").read_bytes()
    first = trained()["weights"].path.parent
    (first / "checkpoint.safetensors").write_bytes(kept)
    forced = trained(run_mode="force")
    folder = forced["weights"].path.parent
    assert folder != first
    assert told(folder, "resumed") == []
    assert outcome(forced) == unbroken


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 16]) + data[-8:]


def made_with(**other: str) -> bytes:
    return encoded(fresh(), {**HERE, **other})


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "damaged"),
    "garbage": (lambda data: b"garbage", "damaged"),
    "torn": (lambda data: data[: len(data) // 2], "damaged"),
    "longer": (lambda data: data + b"\0", "damaged"),
    "a flipped bit": (flipped, "damaged"),
    "another torch": (lambda data: made_with(torch="2.0.1"), "made with torch 2.0.1, this is " + torch.__version__),
    "another device": (lambda data: made_with(device="cuda"), "made with device cuda, this is cpu"),
    "another format": (lambda data: made_with(format="0"), "made with format 0, this is 1"),
    "another network": (lambda data: encoded(fresh(hidden=[9]), HERE), "the network's is float32"),
    "another depth": (lambda data: encoded(fresh(hidden=[8, 8]), HERE), "unknown tensor"),
}


@pytest.mark.parametrize(("spoil", "why"), BAD.values(), ids=BAD)
def test_a_bad_checkpoint_is_ignored_and_the_log_says_why(
    spoil: Callable[[bytes], bytes], why: str, unbroken: dict[str, Any]
) -> None:
    folder = stopped(2)
    path = folder / "checkpoint.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    assert outcome(trained()) == unbroken
    (reason,) = told(folder, "checkpoint_ignored")
    assert why in reason
    assert told(folder, "resumed") == []


def test_a_checkpoint_that_cannot_be_read_is_ignored(unbroken: dict[str, Any]) -> None:
    folder = stopped(2)
    (folder / "checkpoint.safetensors").unlink()
    (folder / "checkpoint.safetensors").symlink_to("checkpoint.safetensors")  # to itself
    assert outcome(trained()) == unbroken
    assert "symbolic links" in told(folder, "checkpoint_ignored")[0]


WHOLE = encoded(fresh(), HERE)
LIKE = fresh()


def test_a_state_is_read_as_it_was_written() -> None:
    (tensors, numbers), (want, want_numbers) = packed(decoded(WHOLE, LIKE, HERE)), packed(LIKE)
    assert numbers == want_numbers
    assert tensors.keys() == want.keys()
    assert all(torch.equal(tensors[name], want[name]) for name in want)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: WHOLE[:200] + b))
def test_random_bytes_are_no_checkpoint(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decoded(data, LIKE, HERE)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_no_checkpoint(length: int) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decoded(WHOLE[:length], LIKE, HERE)


@given(st.sets(st.integers(0, 8 * len(WHOLE) - 1) | st.integers(0, 8 * 400), min_size=1, max_size=5))
def test_flipped_bits_are_seen(bits: set[int]) -> None:
    data = bytearray(WHOLE)
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="damaged"):
        decoded(bytes(data), LIKE, HERE)


@contextmanager
def files_no_larger_than(n_bytes: int) -> Iterator[None]:
    """As on a disk that is nearly full: the system refuses to write more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def trained_in(store: Path) -> dict[str, Any]:
    """Train as if run() had called it."""

    def train() -> dict[str, Any]:
        CURRENT.set(Session("0" * 32, "digits_cnn", str(store)))
        return task.train(POINT)

    return contextvars.copy_context().run(train)


def test_a_disk_without_room_for_a_checkpoint_ends_no_training(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    with files_no_larger_than(len(WHOLE) - 1):  # room for the weights, a third of it
        point = trained_in(tmp_path)
    assert outcome(point) == unbroken
    (why,) = told(point["weights"].path.parent, "checkpoint_not_saved")
    assert "cannot write" in why


def test_it_is_tried_again_when_there_is_room(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    checkpoint = Checkpoint(tmp_path / "c", HERE, lambda **values: lines.append(values))
    with files_no_larger_than(1000):
        checkpoint.save_if_due(fresh())
        checkpoint.save_if_due(fresh())
    assert (list(tmp_path.iterdir()), len(lines)) == ([], 1)
    checkpoint.save_if_due(fresh())
    assert (tmp_path / "c").read_bytes()
    assert checkpoint.resumed(fresh()).step == 0
    assert lines[1:] == [{"resumed": 0}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_without_room_for_the_log_ends_no_training(unbroken: dict[str, Any]) -> None:
    folder = stopped(3)
    (folder / "log.jsonl").unlink()
    (folder / "log.jsonl").symlink_to("/dev/full")
    assert outcome(trained()) == unbroken


class Clock:
    """A clock that stands still, except while a checkpoint is saved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost_s: float) -> None:
        self.now, self.cost_s, self.saved_at = 0.0, cost_s, list[float]()
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(module, "encoded", lambda *_: b"")
        monkeypatch.setattr(module, "write_whole", self.write)

    def write(self, *_: Any) -> None:
        self.saved_at.append(self.now)
        self.now += self.cost_s


@pytest.mark.parametrize(
    ("interval", "cost_s", "saved_at"),
    [
        ("60", 0.0, range(60, 300, 60)),
        ("", 0.0, range(60, 300, 60)),
        ("60", 1.0, [60, 161, 262]),
        ("0", 1.0, range(0, 300, 2)),
    ],
)
def test_saving_takes_less_than_one_percent_of_the_time(
    interval: str, cost_s: float, saved_at: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDRUN_CHECKPOINT_S", interval)
    clock = Clock(monkeypatch, cost_s)
    checkpoint = Checkpoint(tmp_path / "c", HERE, print)
    while clock.now < 300:
        checkpoint.save_if_due(LIKE)
        clock.now += 1
    assert clock.saved_at == list(saved_at)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1 min"])
def test_an_interval_that_cannot_be_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CHECKPOINT_S", text)
    with pytest.raises(UsageError, match=f"GRIDRUN_CHECKPOINT_S='{text}'"):
        interval_s()
    with pytest.raises(UsageError, match="seconds between checkpoints"):
        trained()
    task.train(POINT)  # called directly, it saves nothing


def in_threads(*jobs: Callable[[], None]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_that_save_at_once_never_leave_half_a_file(tmp_path: Path) -> None:
    found: list[int] = []

    def write(step: int) -> None:
        checkpoint, state = Checkpoint(tmp_path / "c", HERE, print), fresh()
        state.step = step
        for _ in range(30):
            checkpoint.save_if_due(state)
            found.append(decoded((tmp_path / "c").read_bytes(), LIKE, HERE).step)

    in_threads(lambda: write(1), lambda: write(2))
    assert len(found) == 60
    assert set(found) <= {1, 2}


def test_two_trainings_of_one_session_at_once_give_the_same(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    points: list[dict[str, Any]] = []

    def train() -> None:
        points.append(trained_in(tmp_path))

    in_threads(train, train)
    assert [outcome(point) for point in points] == [unbroken, unbroken]
    names = sorted(p.name for p in points[0]["weights"].path.parent.iterdir())
    assert names == ["completed", "log.jsonl", "metrics.json", "weights.safetensors"]


def test_the_checksum_covers_every_byte_but_itself() -> None:
    assert with_checksum(WHOLE) == WHOLE
    assert with_checksum(b"no checksum here") == b""
