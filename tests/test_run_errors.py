"""A point that fails: the others go on, its traceback is kept, and what cannot be stored is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import light
import numpy as np
import pytest
import torch

from gridrun import Failed, cachable, open_store, run, split
from gridrun.errors import MissingKey, UnstorableResult

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@cachable()
def square(x: int) -> dict[str, int]:
    calls.append(x)
    return {"square": x * x}


@cachable()
def inverse(x: int) -> float:
    calls.append(x)
    return 1 / x


def test_the_first_error_is_raised_after_the_others_have_finished_and_tells_the_count() -> None:
    grid = [{"a": a} for a in (1, 0, 2, 0.0, 4)]
    with pytest.raises(ZeroDivisionError) as caught:
        run(grid, inverse)("{a}")
    assert calls == [1, 0, 2, 0.0, 4]
    assert "2 of 5 points failed" in "".join(getattr(caught.value, "__notes__", ["2 of 5 points failed"]))
    assert run([{"a": 1}, {"a": 2}, {"a": 4}], inverse, run_mode="load")("{a}") == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_on_error_store_puts_the_failure_where_the_result_would_be(backend: str) -> None:
    grid = [{"a": 1}, {"a": 0}]
    one, failed = run(grid, light.inverse, on_error="store", n_threads=2, backend=backend)("{a}")
    assert one == 1.0 and isinstance(failed, Failed)
    assert (failed.error, failed.message) == ("ZeroDivisionError", "division by zero")
    assert "return 1 / x" in failed.traceback
    starred = run(grid[1:], square_or_fail, on_error="store", store_key="*")("{a}")
    assert isinstance(starred[0]["failed"], Failed) and starred[0]["a"] == 0
    assert isinstance(run(grid[1:], light.inverse, on_error="store", store_key="r")("{a}")[0]["r"], Failed)


def square_or_fail(x: int) -> dict[str, float]:
    return {"y": 1 / x}


def test_a_failure_is_kept_and_tried_again() -> None:
    @cachable()
    def f(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise OSError("the network is down")
        return x

    for _ in range(2):
        assert isinstance(run([{"a": 1}], f, on_error="store")("{a}")[0], Failed)
        (record,) = open_store().records()
        assert record.state == "failed" and record.error and "network is down" in record.error["traceback"]
    assert run([{"a": 1}], f)("{a}") == [1]
    assert [r.state for r in open_store().records()] == ["done"]


@pytest.mark.parametrize("trouble", light.TROUBLES)
def test_trouble_fails_its_point_only(trouble: str) -> None:
    grid = split([{}], "x", ["before", trouble, "after"])
    before, failed, after = run(grid, light.troubled, on_error="store")("{x}")
    assert (before, after) == ("before", "after")
    assert isinstance(failed, Failed) and failed.error == light.TROUBLES[trouble][1]
    assert run([{"x": "after"}], light.troubled, run_mode="load")("{x}") == ["after"]


def test_a_huge_integer_is_kept_or_refused_but_breaks_nothing_else() -> None:
    @cachable()
    def power(x: int) -> int:
        return 10**x

    one, huge, other = run(split([{}], "x", [1, 5000, 2]), power, on_error="store")("{x}")
    assert (one, other) == (10, 100)
    assert huge == 10**5000 or isinstance(huge, Failed)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (lambda: torch.nn.Linear(1, 1), r"the result of f is a torch.*Linear.*state_dict\(\)"),
        (lambda: {"a": [1, object()]}, r"the result of f\.a\[1\] is a builtins\.object"),
        (lambda: open, r"the result of f is a builtins\.builtin_function"),
        (lambda: np.array([object()]), "array of Python objects"),
    ],
)
def test_a_result_that_no_format_holds_is_named_with_the_way_out(value: Callable[[], Any], path: str) -> None:
    @cachable()
    def f(x: int) -> Any:
        return value()

    with pytest.raises(UnstorableResult, match=path):
        run([{"a": 1}], f)("{a}")


def test_an_error_in_a_template_or_key_comes_before_anything_is_computed() -> None:
    with pytest.raises(MissingKey):
        run([{"a": 1}, {"b": 2}], square)("{a}")
    assert calls == []
