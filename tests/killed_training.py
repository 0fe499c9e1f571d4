"""python killed_training.py FOLDER N_EPOCHS: kill -9 a training at random moments until it ends; say what came of it.

The processes are forked from this one, which has everything imported and never computes, so that most of the kills
land in the training. Each writes down every step that it begins.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch  # noqa: F401
import torch
from light import lines, note

from gridrun import explain, run
from gridrun.architectures import digits_cnn
from gridrun.machine import process_start
from gridrun.provenance import circumstances
from gridrun.tasks import settings
from gridrun.training import loop

SETTINGS: dict[str, Any] = {
    "learning_rate": [1e-3],
    "channels": [4, 4],
    "hidden": [16],
    "beta_robustness": 0.25,
    "n_attack_steps": 1,
    "noisy_forward_std": 0.3,
    "dropout_prob": 0.2,
    "validation_fraction": 0.5,
    "checkpoint": "best",
}


def train(point: dict[str, Any], store: str, begun: str) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    real: Callable[..., torch.Generator] = loop.generator

    def noting(seed: int, *labels: Any) -> torch.Generator:
        if labels[0] == "step":
            note(begun, labels[1])
        return real(seed, *labels)

    loop.generator = noting
    run([point], "train", cache_dir=store)("{*}")


def fork(*arguments: Any) -> int:
    """Train in a child process; the child's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        train(*arguments)
        status = 0
    finally:
        os._exit(status)


def torture(point: dict[str, Any], folder: str, luck: random.Random) -> list[list[int]]:
    """Kill the training until it ends; the steps that each process began."""
    begun: list[list[int]] = []
    status = -1
    while status != 0:
        notes = f"{folder}/begun-{len(begun)}"
        child = fork(point, f"{folder}/store", notes)
        status = kill(child, notes, luck)
        begun.append([int(line) for line in lines(notes)])
    return begun


def kill(child: int, notes: str, luck: random.Random) -> int:
    """Kill a child, mostly in its first steps, sometimes before them; the status with which it ended."""
    latest = time.monotonic() + luck.choice([0.2, 60, 60, 60])
    while not os.path.exists(notes) and time.monotonic() < latest and process_start(child):
        time.sleep(0.001)
    time.sleep(luck.uniform(0.0, 0.12))
    os.kill(child, signal.SIGKILL)  # if it has ended, nothing happens: it is still to be waited for
    status = os.waitpid(child, 0)[1]
    if status not in (0, signal.SIGKILL):
        raise RuntimeError(f"a training failed: status {status}")
    return status


def found(store: str) -> dict[str, Any]:
    """What is in the folder of the only run of a store."""
    (folder,) = Path(store, "runs").iterdir()
    return {
        "names": sorted(p.name for p in folder.iterdir() if "checkpoint" in p.name or p.name[0] != "."),
        "weights": (folder / "weights.safetensors").read_bytes().hex(),
        "metrics": json.loads((folder / "metrics.json").read_text()),
        "log": [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()],
    }


def warm_up(point: dict[str, Any], folder: str) -> None:
    """Find out here what is the same for all children, so that they come to the training at once."""
    settings.splits(point)
    settings.network(point)
    explain([point], "train", cache_dir=f"{folder}/nowhere")("{*}")
    circumstances(str(Path(settings.__file__).parent))


def main(folder: str, n_epochs: int) -> None:
    torch.set_num_threads(1)
    point = digits_cnn.make(n_epochs=[n_epochs], **SETTINGS)
    warm_up(point, folder)
    begun = torture(point, folder, random.Random(n_epochs))
    os.waitpid(fork(point, f"{folder}/unbroken", os.devnull), 0)
    print(json.dumps({"begun": begun, "killed": found(f"{folder}/store"), "unbroken": found(f"{folder}/unbroken")}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
