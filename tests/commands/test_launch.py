"""launch_settings of architectures, pages and points: merged in this order, and refused where they are wrong."""

from __future__ import annotations

import types
from typing import Any

import pytest

from gridrun import get
from gridrun.commands import _launch
from gridrun.commands._launch import Launch
from gridrun.dispatch.profile import Profile
from gridrun.dispatch.settings import Settings, merged
from gridrun.errors import UsageError
from gridrun.experiment import Experiment

PROFILE = Profile("slurm", "slurm", settings={"mem_gb": 1, "timeout_min": 10, "partition": "short"})


def page(**names: Any) -> Experiment:
    module = types.ModuleType("experiments.waves")
    vars(module).update(names)
    return Experiment("waves", module)


@pytest.fixture(autouse=True)
def architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    big = types.SimpleNamespace(launch_settings={"mem_gb": 2, "cpus_per_task": 2, "extra": {"nice": 1}})
    monkeypatch.setattr(_launch, "ARCHITECTURES", {"big": big})


def asked(launch: Launch, point: dict[str, Any]) -> Settings:
    return merged(launch.profile.layer, ("point", point.get("launch_settings", {})), ("-launch", launch.command_line))


def test_what_a_point_asks_for_may_be_a_template() -> None:
    grid = [{"size": size, "asks": {"small": {}, "paper": {"mem_gb": 8}}.get} for size in ("small", "paper")]
    grid = [{**point, "launch_settings": "{asks({size})}"} for point in grid]
    launch = Launch(PROFILE)
    found = launch.on(grid, page())
    assert [merged(PROFILE.layer, ("point", get(p, "launch_settings"))).mem_gb for p in found] == [1, 8]


def test_profile_architecture_page_point_and_command_line_in_this_order() -> None:
    grid = [{"seed": 0}, {"seed": 1, "architecture": "big", "launch_settings": {"timeout_min": 40}}]
    launch = Launch(PROFILE, ["partition=night", "extra.exclude=n1,n2"])
    plain, big = launch.on(grid, page(launch_settings={"mem_gb": 3, "timeout_min": 30}))
    flags = {"exclude": "n1,n2"}
    assert asked(launch, plain) == Settings(3.0, 30, partition="night", extra=flags)
    assert asked(launch, big) == Settings(3.0, 40, 2, partition="night", extra={"nice": 1, **flags})
    assert launch.said_by[asked(launch, big)] == {
        "mem_gb": "launch_settings of experiments/waves.py",
        "timeout_min": "launch_settings of a point of experiments/waves.py",
        "cpus_per_task": "architecture big",
        "partition": "-launch",
        "extra.nice": "architecture big",
        "extra.exclude": "-launch",
    }


def test_points_of_a_page_that_says_nothing_stay_as_they_are() -> None:
    grid = [{"seed": 0}]
    assert Launch(PROFILE).on(grid, page()) == grid


def test_a_class_has_its_own_settings_or_those_of_its_module() -> None:
    import sys

    module = types.ModuleType("experiments.of_class")
    module.launch_settings = {"mem_gb": 5}  # type: ignore[attr-defined]
    holder = type("of_class", (), {"__module__": module.__name__})
    sys.modules[module.__name__] = module
    try:
        assert Experiment("of_class", holder).launch_settings == {"mem_gb": 5}
        holder.launch_settings = {"mem_gb": 6}  # type: ignore[attr-defined]
        assert Experiment("of_class", holder).launch_settings == {"mem_gb": 6}
    finally:
        del sys.modules[module.__name__]


def test_points_side_by_side_get_their_cores_unless_somebody_asked_for_more() -> None:
    grid = [{"seed": 0}, {"seed": 1, "launch_settings": {"cpus_per_task": 8}}]
    few, many = Launch(PROFILE, n_threads=4).on(grid, page())
    assert (few["launch_settings"]["cpus_per_task"], many["launch_settings"]["cpus_per_task"]) == (4, 8)


@pytest.mark.parametrize(
    ("settings", "point", "words"),
    [
        ({"memgb": 3}, {}, ["launch_settings of experiments/waves.py", "did you mean 'mem_gb'?"]),
        ({}, {"launch_settings": {"time_min": 3}}, ["a point of experiments/waves.py", "'timeout_min'?"]),
        (["mem_gb=3"], {}, ["launch_settings of experiments/waves.py", "must be a table"]),
        (None, {}, ["launch_settings of experiments/waves.py is None"]),
    ],
)
def test_an_error_names_the_page(settings: Any, point: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        Launch(PROFILE).on([point], page(launch_settings=settings))
    assert [word for word in words if word not in str(caught.value)] == [], caught.value
