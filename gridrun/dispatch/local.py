"""Side by side on this machine: a bounded pool of threads or processes that runs blocks of points.

Processes come from joblib's loky, which starts clean interpreters and notices a worker that dies. Numeric libraries
get their share of the cores in each worker.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from ..errors import UsageError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
BACKENDS = ("threads", "processes")


class Here(Executor):
    """A pool of no workers: what is submitted is computed at once, by the caller."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Threads(ThreadPoolExecutor):
    """Threads that leave the numeric libraries their share of the cores."""

    def __init__(self, n_workers: int) -> None:
        super().__init__(n_workers, thread_name_prefix="gridrun")
        self.before = _torch_threads()
        self.share = cores_per_worker(n_workers)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(_with_threads, self.share, fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=wait, cancel_futures=cancel_futures)
        if self.before:
            sys.modules["torch"].set_num_threads(self.before)


def _with_threads(share: int, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if _torch_threads() not in (0, share):
        sys.modules["torch"].set_num_threads(share)
    return fn(*args, **kwargs)


def _torch_threads() -> int:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None and hasattr(torch, "get_num_threads") else 0


def cores_per_worker(n_workers: int) -> int:
    """Cores for each of `n_workers`, at least one.

    >>> cores_per_worker(10**6)
    1
    """
    return max(1, n_cores() // n_workers)


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_pool(n_workers: int, backend: str) -> Executor:
    """An executor of `n_workers`; one alone computes here, without a pool."""
    if backend not in BACKENDS:
        raise UsageError(f"backend={backend!r}; it is one of {', '.join(BACKENDS)}")
    if n_workers < 1:
        raise UsageError(f"n_threads={n_workers}; it takes at least 1")
    if n_workers == 1:
        return Here()
    return Threads(n_workers) if backend == "threads" else make_process_pool(n_workers)


def make_process_pool(n_workers: int) -> Executor:
    """A fresh pool of clean interpreters."""
    from joblib.externals.loky import ProcessPoolExecutor

    share = str(cores_per_worker(n_workers))
    pool: Executor = ProcessPoolExecutor(
        n_workers, env=dict.fromkeys(THREAD_VARIABLES, share), initializer=_be_a_worker, initargs=(os.getpid(),)
    )
    return pool


def _be_a_worker(parent: int) -> None:
    """Leave Ctrl-C, and a scheduler's warnings, to the parent, and end when it is gone."""
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def close_pool(pool: Executor, kill: bool = False) -> None:
    """End a pool; `kill` does not wait for what runs in processes."""
    if kill and not isinstance(pool, (Here, Threads)):
        pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
    else:
        pool.shutdown(wait=True, cancel_futures=kill) if isinstance(pool, Threads) else pool.shutdown(wait=True)
