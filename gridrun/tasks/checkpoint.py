"""The checkpoint of a training that has not ended: one safetensors file in the folder of its run.

It is saved on training's own clock, since no signal is sure to come before a job ends: every GRIDRUN_CHECKPOINT_S
seconds (60 unless set; 0: after every step), and so seldom that saving takes less than 1 % of the time. One of the
paper's CNN has 7.9 MB and takes 25 ms.

The file's metadata hold the numbers of the state, what made it, and a checksum. A checkpoint that is damaged, or
that another version or device made, is ignored, with a word in the log; training then starts anew.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from .. import UsageError
from ..files import write_whole
from ..session import note_saved

if TYPE_CHECKING:
    from ..training.state import State

FORMAT = "1"
CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{32})"')
NO_CHECKSUM = b"0" * 32
COST = 0.01  # of the time may go into saving


class Checkpoint:
    """The checkpoint of one training: where it is, what may read it, and when to save it again."""

    def __init__(self, path: Path, made_by: dict[str, str], log: Callable[..., None]) -> None:
        self.path, self.made_by, self.log = path, made_by, log
        self.interval_s = interval_s()
        self.due = time.monotonic() + self.interval_s
        self.trouble = ""

    def resumed(self, start: State) -> State:
        """The state that was saved, or else `start`; the log says so, and why."""
        try:
            state = decoded(self.path.read_bytes(), start, self.made_by)
        except FileNotFoundError:
            return start
        except (OSError, ValueError) as error:
            self.log(checkpoint_ignored=str(error))
            return start
        self.log(resumed=state.step)
        return state

    def save_if_due(self, state: State) -> None:
        """Save the state, if it is time to. A full disk ends no training: the log tells of it once."""
        begin = time.monotonic()
        if begin < self.due:
            return
        before, self.trouble = self.trouble, self._save(state)
        if self.trouble and self.trouble != before:
            self.log(checkpoint_not_saved=self.trouble)
        end = time.monotonic()
        self.due = end + max(self.interval_s, (end - begin) / COST) if self.interval_s else end

    def _save(self, state: State) -> str:
        """Save the state; what went wrong, in words."""
        try:
            write_whole(self.path, encoded(state, self.made_by))
        except OSError as error:
            return str(error)
        note_saved()
        return ""


def interval_s() -> float:
    """Seconds between checkpoints, from the environment."""
    text = os.environ.get("GRIDRUN_CHECKPOINT_S") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"GRIDRUN_CHECKPOINT_S={text!r}: want seconds between checkpoints, 0 for one at every step")
    return seconds


def maker(device: str) -> dict[str, str]:
    """What must be the same where a checkpoint is read, for the same bits to follow."""
    import torch

    version = sys.modules["gridrun"].__version__  # not imported: a new version is no change of this code
    return {"format": FORMAT, "gridrun": version, "torch": torch.__version__, "device": device}


def encoded(state: State, made_by: dict[str, str]) -> bytes:
    """A state as a file."""
    from safetensors.torch import save

    from ..training.state import packed

    tensors, numbers = packed(state)
    about = {**made_by, "numbers": json.dumps(numbers), "checksum": NO_CHECKSUM.decode()}
    return with_checksum(save(tensors, about))


def decoded(data: bytes, like: State, made_by: dict[str, str]) -> State:
    """The state of a file, for training to go on from where it begins at `like`.

    Raises ValueError for a file that is damaged, or not of this training or these versions. Nothing else is read
    before the checksum is right.
    """
    from safetensors.torch import load

    from ..training.state import restored

    if not data or with_checksum(data) != data:
        raise ValueError("it is damaged: its checksum differs")
    about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    for name, here in made_by.items():
        if (there := about.get(name)) != here:
            raise ValueError(f"it was made with {name} {there}, this is {here}")
    return restored(like, load(data), json.loads(about["numbers"]))


def with_checksum(data: bytes) -> bytes:
    """A file with the checksum that it should have: that of all its bytes, with zeros where it stands itself.

    >>> with_checksum(b'{"checksum":"00000000000000000000000000000000"}')
    b'{"checksum":"fd25e846e9a3d7f738d822465900e989"}'
    """
    found = CHECKSUM.search(data)
    if found is None:
        return b""
    head, tail = data[: found.start(1)], data[found.end(1) :]
    checksum = xxhash.xxh3_128_hexdigest(head + NO_CHECKSUM + tail)
    return head + checksum.encode() + tail
