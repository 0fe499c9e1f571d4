"""Which points share a task, and which tasks share an array: plain arithmetic on numbers of points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

UNKNOWN_TASKS = 100  # tasks that points of unknown length are dealt to


def chunk_size(n_points: int, point_s: float | None, task_min: float, timeout_min: int) -> int:
    """Points for one task: enough for `task_min` minutes, never more than half its time limit.

    A task costs a second or two before it computes, so short points share one. Where nobody knows how long a point
    takes, the points are dealt to UNKNOWN_TASKS tasks.

    >>> chunk_size(2000, point_s=0.5, task_min=5, timeout_min=60)
    600
    >>> chunk_size(2000, point_s=1000, task_min=5, timeout_min=60), chunk_size(2000, None, 5, 60)
    (1, 20)
    """
    if point_s is None:
        return max(1, -(-n_points // UNKNOWN_TASKS))
    seconds = min(60 * task_min, 30 * timeout_min)
    return max(1, min(n_points, int(seconds / max(point_s, 1e-3))))


def dealt(numbers: Sequence[int], size: int) -> list[list[int]]:
    """Chunks of at most `size`, as even as can be.

    >>> dealt(range(7), 3)
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    n_chunks = -(-len(numbers) // size)
    low, longer = divmod(len(numbers), n_chunks) if n_chunks else (0, 0)
    chunks, start = [], 0
    for i in range(n_chunks):
        stop = start + low + (i < longer)
        chunks.append(list(numbers[start:stop]))
        start = stop
    return chunks


def split(tasks: Sequence[list[int]], max_array: int) -> list[list[list[int]]]:
    """Arrays of at most `max_array` tasks.

    >>> [len(array) for array in split([[i] for i in range(55)], 20)]
    [20, 20, 15]
    """
    return [list(tasks[start : start + max_array]) for start in range(0, len(tasks), max_array)]


def spans(numbers: Iterable[int]) -> str:
    """Numbers as text, runs of them shortened.

    >>> spans([0, 1, 2, 7, 9, 10])
    '0-2,7,9-10'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def numbers_of(text: str) -> list[int]:
    """What spans() wrote.

    >>> numbers_of("0-2,7")
    [0, 1, 2, 7]
    """
    numbers: list[int] = []
    for run in text.split(",") if text else []:
        first, _, last = run.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers
