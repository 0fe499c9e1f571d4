"""Points side by side in threads, and good manners towards the process that they run in."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gridrun import UsageError, cachable, configure, make_unique, run, split
from gridrun.runner import defaults

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def square(x: int) -> dict[str, int]:
    calls.append(x)
    return {"square": x * x}


GRID = split([{"z": 9}], "a", [3, 1, 2])


def test_threads_give_the_same_as_one_by_one(tmp_path: Path) -> None:
    @cachable()
    def summary(x: int) -> dict[str, Any]:
        return {"pair": (x, {x: [x]}), "array": np.full(600 * x, x), "tensor": torch.full((x,), 0.5)}

    grid = split([{}], "a", [*range(1, 30), 3, 5])
    one, three = (run(grid, summary, n_threads=n, cache_dir=tmp_path / str(n), store_key="*")("{a}") for n in (1, 3))
    assert str(one) == str(three)
    assert run(grid, lambda a: a * a, n_threads=3)("{a}") == [p["a"] ** 2 for p in grid]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_no_more_points_at_once_than_asked_for(n_threads: int) -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def watched(x: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return x

    for function in (watched, cachable()(watched)):
        assert run(split([{}], "a", range(20)), function, n_threads=n_threads)("{a}") == list(range(20))
    assert most == [n_threads]


def test_two_runs_in_threads_of_one_process_share_the_work() -> None:
    @cachable()
    def slow(x: int) -> int:
        calls.append(x)
        time.sleep(0.02)
        return x

    grid, found = split([{}], "a", range(12)), []
    threads = [threading.Thread(target=lambda: found.append(run(grid, slow)("{a}"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(12))] * 3
    assert sorted(calls) == list(range(12))


def test_a_cached_function_may_run_another_grid_inside() -> None:
    @cachable()
    def outer(n: int) -> int:
        return int(sum(p["square"] for p in run(split([{}], "a", range(n)), square)("{a}")))

    assert run([{"n": 3}, {"n": 4}], outer, n_threads=2)("{n}") == [5, 14]
    assert run([{"n": 3}], outer)("{n}") == [5]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_random_state_of_the_user_is_left_alone(n_threads: int) -> None:
    @cachable()
    def f(x: int) -> Any:
        return np.full(2000, x), torch.full((2000,), x), [x]

    def state() -> str:
        return str([random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()])  # type: ignore

    before = state()
    for mode in ("normal", "normal", "force", "load"):
        run(split([{}], "a", range(4)), f, run_mode=mode, n_threads=n_threads)("{a}")
    make_unique(configure(GRID, {"t": torch.ones(3)}))
    assert state() == before


def test_numeric_libraries_keep_their_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert run(split([{}], "a", range(4)), lambda a: torch.get_num_threads(), n_threads=2)("{a}") == [1] * 4
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    run(split([{}], "a", range(50)), square, n_threads=2)("{a}")
    run(split([{}], "a", range(50)), square)("{a}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_function_that_runs_itself_on_other_points_does_not_wait_for_itself(n_threads: int) -> None:
    @cachable()
    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        return sum(run([{"n": n - 1}, {"n": n - 2}], fibonacci, wait_s=5)("{n}"))

    grid = split([{}], "n", range(12))
    assert run(grid, fibonacci, n_threads=n_threads, wait_s=5)("{n}") == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]


@cachable()
def is_in_main_thread(a: int) -> bool:
    return threading.current_thread() is threading.main_thread()


def test_what_a_call_does_not_say_is_as_the_block_around_it_says(tmp_path: Path) -> None:
    def of(function: Any, **options: Any) -> set[bool]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return set(run(split([{}], "a", range(4)), function, cache_dir=folder, **options)("{a}"))

    with defaults(n_threads=2):
        assert of(is_in_main_thread) == {False}
        assert of(is_in_main_thread, n_threads=1) == {True}
        assert of(lambda a: threading.current_thread() is threading.main_thread()) == {True}  # nothing to wait for
    assert of(is_in_main_thread) == {True}
    with (
        pytest.raises(UsageError, match=r"defaults\(threads=...\); it takes n_threads, backend, mode"),
        defaults(threads=2),
    ):
        pass
