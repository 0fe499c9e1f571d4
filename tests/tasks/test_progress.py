"""Signs of life of a training in a cluster's job, and silence everywhere else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gridrun.architectures import digits_cnn
from gridrun.tasks import progress as module
from gridrun.tasks.progress import Progress
from gridrun.tasks.train import train

METRICS = {"loss": 0.1234, "training_accuracy": 0.95}


@pytest.fixture
def in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_TASK", "12_3")


def test_a_line_an_epoch_but_one_in_ten_seconds_at_most(
    in_a_job: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    progress = Progress(n_epochs=40)
    for epoch in range(1, 8):
        clock.now += 4
        progress.tell({**METRICS, "epoch": epoch})
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/40  loss 0.123  training accuracy 0.95  4 s",
        "epoch 4/40  loss 0.123  training accuracy 0.95  16 s",
        "epoch 7/40  loss 0.123  training accuracy 0.95  28 s",
    ]


def short() -> dict:
    return digits_cnn.make(n_epochs=[1], learning_rate=[1e-3], channels=[2], hidden=[8], beta_robustness=0.0)


def test_a_training_in_a_job_shows_its_first_epoch(in_a_job: None, capsys: pytest.CaptureFixture[str]) -> None:
    train(short())
    assert capsys.readouterr().out.startswith("epoch 1/1  loss ")


def test_elsewhere_there_is_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("GRIDRUN_TASK", raising=False)
    train(short())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [OSError("no space left"), BrokenPipeError()])
def test_a_log_without_room_ends_no_training(error: OSError, in_a_job: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*arguments: object, **options: object) -> None:
        asked.append(arguments)
        raise error

    monkeypatch.setattr("builtins.print", refuse)
    Progress(1).tell({**METRICS, "epoch": 1})
    assert len(asked) == 1  # it tried, and nothing came of it
