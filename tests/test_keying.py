"""Keys of calls: what a result depends on, however the call is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import programs
import pytest

from gridrun import cachable, configure, get, run, split
from gridrun.errors import MissingKey, UnhashableInput, UsageError

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def test_default_positional_and_keyword_forms_share_one_key() -> None:
    @cachable()
    def f(x: int, y: int = 0, *, z: str = "a") -> tuple[Any, ...]:
        calls.append(x)
        return x, y, z

    point = {"a": 1, "zero": 0, "x": 1, "s": "a"}
    forms = [
        run(point, f)("{a}"),
        run(point, f)(x="{a}"),
        run(point, f)("{a}", "{zero}"),
        run(point, f)("{a}", y="{zero}", z="a"),
        run(point, f)(z="{s}", y=0, x=1),
        run(point, f)(),  # by name
    ]
    assert forms == [[(1, 0, "a")]] * 6
    assert calls == [1]


def test_each_other_argument_is_another_key() -> None:
    @cachable()
    def f(x: Any, y: Any = 0, *rest: Any, z: Any = None, **more: Any) -> Any:
        calls.append(1)
        return repr((x, y, rest, z, more))

    def once(*args: Any, **kwargs: Any) -> str:
        (result,) = run([{}], f)(*args, **kwargs)
        return str(result)

    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}), ((1.0,), {}), ((1, 1), {}), ((1, 0, 0), {}), ((1, 0, 0, 0), {}), ((1, 0, [0, 0]), {}),
        ((1,), {"z": 0}), ((1,), {"w": 0}), ((1,), {"w": 0, "v": 1}), ((1,), {"more": {"w": 0}}), ((0, 1), {}),
    ]  # fmt: skip
    for args, kwargs in arguments * 2:
        assert once(*args, **kwargs) == f(*args, **kwargs)
    assert len(calls) == 3 * len(arguments)  # twice by hand, once by run


def test_adding_a_parameter_with_a_default_keeps_old_results(tmp_path: Path) -> None:
    old = programs.function(tmp_path, "def f(x):\n    return [x]\n")
    new = programs.function(tmp_path, "def f(x, k=3):\n    return [x]\n")
    more = programs.function(tmp_path, "def f(x, *, k=3, j=None, **rest):\n    return [x]\n")
    (id_,) = [p["session_id"] for p in run([{"a": 1}], cachable()(old), store_key="r")("{a}")]
    for function in (new, more):
        assert run([{"a": 1}], cachable()(function), store_key="r", run_mode="load")("{a}")[0]["session_id"] == id_
    assert run([{"a": 1}], cachable()(more), store_key="r")("{a}", k=4)[0]["session_id"] != id_


@pytest.mark.parametrize("code", ["warn", "ignore", "recompute"])
def test_a_changed_default_never_gives_the_result_of_the_old_one(tmp_path: Path, code: str) -> None:
    old = programs.function(tmp_path, "def f(x, k=1):\n    return x * k\n")
    new = programs.function(tmp_path, "def f(x, k=2):\n    return x * k\n")
    grid = [{"a": 5}]
    assert run(grid, cachable(code=code)(old))("{a}") == [5]
    assert run(grid, cachable(code=code)(new))("{a}") == [10]
    assert run(grid, cachable(code=code)(new))("{a}", k=1) == [5]
    assert run(grid, cachable(code=code)(old))("{a}") == [5]
    assert run(grid, cachable(code=code)(old))("{a}", 2) == [10]


@dataclass
class Model:
    seed: int
    name: str = "m"


@pytest.mark.parametrize(
    ("dependency", "same", "other"),
    [
        ("m:seed", [{"seed": 1, "log": "a"}, {"seed": 1, "log": "b"}], {"seed": 2, "log": "a"}),
        ("m:seed", [Model(1, "a"), Model(1, "b"), SimpleNamespace(seed=1)], Model(2, "a")),
        ("m:0", [[1, 2], [1, 3], (1,), np.array([1, 5])], [2, 2]),
        ("m:-1", [[2, 1], [3, 1]], [1, 2]),
        ("m:{net}_seed", [{"net": "a", "a_seed": 1}, {"net": "a", "a_seed": 1, "z": 0}], {"net": "b", "b_seed": 1}),
        ("m:{net}_seed", [{"net": "{k}", "k": "cnn", "cnn_seed": "{s}", "s": 1}], {"net": "cnn", "cnn_seed": 2}),
    ],
)  # fmt: skip
def test_a_part_of_an_argument(dependency: str, same: list[Any], other: Any) -> None:
    @cachable(dependencies=[dependency])
    def f(m: Any) -> int:
        calls.append(m)
        return len(calls)

    assert [run({"m": m}, f)("{m}") for m in same] == [[1]] * len(same)
    assert run({"m": other}, f)("{m}") == [2]


def test_a_mapping_with_integer_keys() -> None:
    @cachable(dependencies=["m:0"])
    def f(m: Any) -> Any:
        return m[0]

    assert run([{"m": {0: 5, 1: 6}}], f)("{m}") == [5]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"sed": 1}, "depends on 'm:seed', but its argument has no key 'seed'; did you mean 'sed'"),
        (Model, "depends on 'm:seed', but its argument, a type, has no 'seed'"),
    ],
)
def test_a_key_that_an_argument_lacks_is_an_error_at_the_call(argument: Any, message: str) -> None:
    @cachable(dependencies=["m:seed"])
    def f(m: Any) -> None:
        calls.append(m)

    with pytest.raises(MissingKey, match=message):
        run([{"m": argument}], f)("{m}")
    assert calls == []


def test_an_index_out_of_range_is_an_error_at_the_call() -> None:
    @cachable(dependencies=["m:2"])
    def f(m: Any) -> None: ...

    with pytest.raises(MissingKey, match="there is no item 2"):
        run([{"m": [0, 1]}], f)("{m}")


def test_a_parameter_that_does_not_exist_is_an_error_at_decoration() -> None:
    with pytest.raises(UsageError, match="depends on 'mdel:seed', but has no parameter 'mdel'; did you mean 'model'"):

        @cachable(dependencies=["mdel:seed"])
        def f(model: Any) -> None: ...


def test_what_is_no_dependency_does_not_count_and_is_passed_fresh() -> None:
    @cachable(dependencies=["a"])
    def f(a: int, log: str) -> str:
        calls.append(log)
        return log

    assert run([{"a": 1, "l": "/x"}, {"a": 1, "l": "/y"}, {"a": 2, "l": "/z"}], f)("{a}", "{l}") == ["/x", "/x", "/z"]
    assert calls == ["/x", "/z"]


def test_dependencies_may_name_the_rest_and_the_extra_arguments() -> None:
    @cachable(dependencies=["rest", "more"])
    def f(a: int, *rest: int, **more: int) -> int:
        calls.append(a)
        return len(calls)

    assert [run([{}], f)(*args)[0] for args in [(1,), (2,), (1, 5), (2, 5)]] == [1, 1, 2, 2]
    assert [run([{}], f)(1, w=w)[0] for w in (1, 2, 1)] == [3, 4, 3]


def test_values_are_resolved_before_they_are_keyed() -> None:
    @cachable(dependencies=["model:folder"])
    def f(model: dict[str, Any]) -> str:
        return str(get(model, "folder"))

    @cachable()
    def g(folder: str) -> str:
        return folder

    grid = split([{"folder": "data/{seed}"}], "seed", [0, 1])
    assert run(grid, f)("{*}") == run(grid, g)("{folder}") == ["data/0", "data/1"]
    assert run([{"d": "data/1"}], g, run_mode="load")("{d}") == ["data/1"]


def test_arguments_are_keyed_before_the_call_changes_them() -> None:
    @cachable()
    def f(numbers: list[int], settings: dict[str, Any]) -> int:
        calls.append(1)
        numbers.append(len(numbers))
        settings["done"] = True
        return len(numbers)

    for _ in range(2):
        assert run([{"n": [1, 2], "s": {"a": 1}}], f)("{n}", "{s}") == [3]
    assert calls == [1]


def test_version_is_part_of_the_key_and_old_versions_stay() -> None:
    def made(version: Any) -> Any:
        def f(x: int) -> int:
            calls.append(version)
            return len(calls)

        return cachable(version=version)(f)

    found = [run([{"a": 1}], made(version))("{a}")[0] for version in (None, 1, "1", 2, 1, None)]
    assert found == [1, 2, 3, 4, 2, 1]


def test_session_ids_are_equal_on_miss_and_hit_and_seen_before_the_call() -> None:
    seen: list[dict[str, Any]] = []

    @cachable(dependencies=["model:seed"])
    def train(model: dict[str, Any]) -> dict[str, int]:
        seen.append(dict(model))
        return {"net": model["seed"]}

    miss, hit = (run([{"seed": 1}], train, store_key="*")("{*}") for _ in range(2))
    assert miss == hit == [{**seen[0], "net": 1}] and len(seen) == 1
    assert seen[0]["session_id"] == seen[0]["train_session_id"]
    assert len(seen[0]["session_id"]) == 32 and set(seen[0]["session_id"]) <= set("0123456789abcdef")


def test_session_ids_enter_a_key_only_where_they_are_named() -> None:
    @cachable(dependencies=["model:seed"])
    def train(model: dict[str, Any]) -> dict[str, int]:
        return {"net": 1}

    @cachable()
    def whole(model: dict[str, Any]) -> int:
        calls.append("whole")
        return 1

    @cachable(dependencies=["model:{kind}_session_id"])
    def named(model: dict[str, Any]) -> int:
        calls.append("named")
        return 1

    plain = [{"seed": 1, "kind": "train"}]
    run(configure(plain, {"net": 1}), whole)("{*}")
    for mode in ("normal", "force"):
        grid = run(plain, train, run_mode=mode, store_key="*")("{*}")
        run(grid, whole)("{*}")
        run(grid, named)("{*}")
        run(grid, named)("{*}")
    assert calls == ["whole", "named", "named"]


def test_the_id_of_a_result_tells_code_version_and_generation_apart(tmp_path: Path) -> None:
    bodies = ["def f(x):\n    return x\n", "def f(x):\n    return x + 1\n"]
    one, other = (cachable()(programs.function(tmp_path, body)) for body in bodies)
    again = cachable(version=2)(programs.function(tmp_path, bodies[0]))

    def id_of(function: Any, mode: str = "normal") -> str:
        return str(run([{"a": 1}], function, run_mode=mode, store_key="r")("{a}")[0]["session_id"])

    ids = [id_of(one), id_of(other), id_of(again), id_of(one, "force")]
    assert len(set(ids)) == 4
    assert [id_of(other), id_of(one)] == [ids[1], ids[3]]


def test_an_argument_without_an_encoding_is_named() -> None:
    class Loss:
        pass

    @cachable()
    def f(model: dict[str, Any]) -> None: ...

    with pytest.raises(UnhashableInput, match=r"model\.loss_fn is a .*Loss.*dependencies="):
        run([{"m": {"seed": 1, "loss_fn": Loss()}}], f)("{m}")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {"y": 1}, "no parameter 'y'; it has x"),
        ((1, 2), {}, "takes 1 positional arguments, not 2"),
        ((1,), {"x": 1}, "several values for 'x'"),
    ],
)
def test_a_call_that_does_not_fit_fails_as_python_does(args: Any, kwargs: Any, message: str) -> None:
    @cachable()
    def f(x: int) -> None: ...

    with pytest.raises(TypeError, match=message):
        run([{"a": 1}], f)(*args, **kwargs)
    with pytest.raises(TypeError):
        f(*args, **kwargs)
