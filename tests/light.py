"""Functions that worker processes run: a module that is quick to import."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from gridrun import cachable


def note(path: str, text: object) -> None:
    """Add a line to a file that several processes share."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text}\n".encode())
    os.close(fd)


def lines(path: str | Path) -> list[str]:
    return Path(path).read_text().splitlines() if os.path.exists(path) else []


def square(x: int) -> int:
    return x * x


def inverse_of(x: int) -> float:
    return 1 / x


inverse = cachable(table_name="inverse")(inverse_of)


@cachable()
def summary(x: int) -> dict[str, Any]:
    import numpy as np

    return {"pair": (x, {x: [x]}), "array": np.full(600 * x, x), "text": "a" * 1000 * x}


@cachable()
def slow(x: int, log: str, seconds: float = 0.05) -> int:
    note(log, f"start {x} {os.getpid()}")
    time.sleep(seconds)
    note(log, f"end {x} {os.getpid()}")
    return x


def threads_of_libraries(x: int) -> list[str]:
    return [os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OMP", "MKL", "OPENBLAS")]


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unsendable(Exception):
    def __init__(self, one: int, other: int) -> None:
        self.both = one, threading.Lock()
        super().__init__(f"{one} and {other}")


def nested(depth: int) -> list[Any]:
    out: list[Any] = []
    for _ in range(depth):
        out = [out]
    return out


def loop() -> list[Any]:
    out: list[Any] = []
    out.append(out)
    return out


def recursion() -> Any:
    return recursion()


def fail(error: BaseException) -> None:
    raise error


TROUBLES: dict[str, tuple[Any, str]] = {
    "exit": (lambda: fail(SystemExit(3)), "SystemExit"),
    "memory": (lambda: fail(MemoryError()), "MemoryError"),
    "wordless": (lambda: fail(Wordless()), "Wordless"),
    "unsendable": (lambda: fail(Unsendable(1, 2)), "Unsendable"),
    "recursion": (recursion, "RecursionError"),
    "object": (object, "UnstorableResult"),
    "loop": (loop, "UnstorableResult"),
    "deep": (lambda: nested(100_000), "UnstorableResult"),
}
DEATHS: dict[str, Any] = {
    "os._exit": lambda: os._exit(7),
    "kill -9": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segmentation fault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}


@cachable(dependencies=["x"])
def troubled(x: str, log: str = os.devnull) -> str:
    note(log, x)
    if x in TROUBLES:
        return TROUBLES[x][0]()
    if x in DEATHS:
        DEATHS[x]()
    return x
