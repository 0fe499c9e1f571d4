"""launch_settings: layers, ranges, near names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridrun.dispatch.settings import KEYS, Settings, from_words, merged, origins
from gridrun.errors import UsageError


def test_later_layers_win_and_flags_are_merged_one_by_one() -> None:
    found = merged(
        ("profile", {"mem_gb": 4, "timeout_min": 30, "extra": {"exclude": "n3", "nice": 100, "exclusive": True}}),
        ("architecture", {"mem_gb": 16}),
        ("experiment", {"queue": "long", "extra": {"nice": 0}}),
        ("command line", {"timeout_min": 90, "extra": {"exclusive": False}}),
    )
    assert found == Settings(mem_gb=16.0, timeout_min=90, partition="long", extra={"exclude": "n3", "nice": 0})


def test_nothing_said_is_the_defaults() -> None:
    assert merged() == merged(("profile", {})) == Settings()


def test_equal_settings_are_one_key_of_a_dict_and_different_ones_are_not() -> None:
    same = {merged(("a", {"mem_gb": 8, "extra": {"nice": 1}})), merged(("b", {"extra": {"nice": 1}, "mem_gb": 8.0}))}
    assert len(same) == 1
    assert len({*same, merged(("c", {"mem_gb": 8, "extra": {"nice": 2}}))}) == 2


def test_settings_travel_as_json() -> None:
    settings = merged(("a", {"mem_gb": 0.5, "extra": {"-P": "vision"}, "chunk": 20, "account": 2041}))
    assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
    assert settings.account == "2041"


def test_where_each_setting_comes_from() -> None:
    layers = (("profile", {"mem_gb": 4, "extra": {"nice": 1}}), ("experiment", {"mem_gb": 8, "queue": "long"}))
    assert origins(*layers) == {"mem_gb": "experiment", "extra.nice": "profile", "partition": "experiment"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"memgb": 4}, ["experiments/waves.py", "'memgb'", "did you mean 'mem_gb'?"]),
        ({"queu": "long"}, ["'queu'", "did you mean 'queue'?"]),
        ({"mem_gb": 0}, ["mem_gb = 0", "above 0"]),
        ({"mem_gb": "8"}, ["mem_gb = '8'", "number above 0"]),
        ({"mem_gb": float("nan")}, ["mem_gb = nan"]),
        ({"mem_gb": True}, ["mem_gb = True"]),
        ({"mem_gb": 10**400}, ["mem_gb", "at most"]),
        ({"timeout_min": 2.5}, ["timeout_min = 2.5", "whole number"]),
        ({"timeout_min": "2h"}, ["timeout_min = '2h'"]),
        ({"cpus_per_task": 0}, ["cpus_per_task = 0", "from 1"]),
        ({"gpus_per_node": -1}, ["gpus_per_node = -1", "from 0"]),
        ({"partition": "long\n#SBATCH --mem=0"}, ["partition", "one line"]),
        ({"partition": ["long"]}, ["partition = ['long']"]),
        ({"partition": "a", "queue": "b"}, ["queue and partition", "keep one"]),
        ({"extra": "--exclude=n3"}, ["extra = '--exclude=n3'", "a table"]),
        ({"extra": {"exclude n3": 1}}, ["'exclude n3'", "flags by name"]),
        ({"extra": {"exclude": "n3\nrm -rf ."}}, ["texts on one line"]),
        ({"extra": {"exclude": ["n3"]}}, ["exclude is ['n3']"]),
        ({"extra": {"--array": "0-9"}}, ["'--array'", "gridrun makes the arrays"]),
        ({"extra": {"mem": "4G"}}, ["use `mem_gb`"]),
        ({"chunk": 0}, ["chunk = 0", "from 1"]),
        ({"point_s": -1}, ["point_s = -1"]),
        ({3: 4}, ["no key 3"]),
        ("mem_gb=4", ["experiments/waves.py is 'mem_gb=4'", "must be a table"]),
    ],
)
def test_an_error_names_the_layer_the_key_and_the_way_out(settings: Any, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        merged(("launch/slurm.toml", {"mem_gb": 2}), ("experiments/waves.py", settings))
    text = str(caught.value)
    assert "experiments/waves.py" in text and "\n" not in text
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mem_gb=8", {"mem_gb": 8.0}),
        ("mem_gb=0.5,timeout_min=90,cpus_per_task=4", {"mem_gb": 0.5, "timeout_min": 90, "cpus_per_task": 4}),
        ("partition=long,short,chunk=20", {"partition": "long,short", "chunk": 20}),
        ("queue=1e5", {"partition": "1e5"}),
        ("constraint=a100&nvlink", {"constraint": "a100&nvlink"}),
        ("extra.exclude=n1,n2,extra.exclusive=true", {"extra": {"exclude": "n1,n2", "exclusive": True}}),
        ("extra.-P=vision,chunk=none", {"extra": {"-P": "vision"}, "chunk": None}),
        ("extra.export=A=1", {"extra": {"export": "A=1"}}),
    ],
)
def test_settings_of_the_command_line(words: str, expected: dict[str, Any]) -> None:
    assert from_words(words) == expected


@pytest.mark.parametrize(
    ("words", "way_out"),
    [
        ("mem_gb", "write mem_gb=8"),
        ("", "write mem_gb=8"),
        ("memgb=8", "did you mean 'mem_gb'?"),
        ("mem_gb=much", "mem_gb = 'much'"),
        ("extra=x", "a table"),
        ("extra.=x", "no key 'extra.'"),
    ],
)
def test_an_error_of_the_command_line_says_so(words: str, way_out: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_words(words)
    assert str(caught.value).startswith("-launch") and way_out in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*KEYS, "queue"]) | st.text(max_size=8), anything, max_size=5))
def test_whatever_is_given_is_settings_or_a_usage_error(given: dict[str, Any]) -> None:
    try:
        settings = merged(("a page", given))
    except UsageError as error:
        assert str(error).startswith("a page") and "\n" not in str(error)
        return
    assert Settings.from_dict(settings.as_dict()) == settings
    assert isinstance(settings.mem_gb, float) and isinstance(settings.timeout_min, int)
    assert all(text.isprintable() for text in (settings.partition, settings.account, settings.qos))


@given(st.text(alphabet="mem_gbextra.partition=,-1 e\n\"'", max_size=30))
def test_whatever_is_typed_is_settings_or_a_usage_error(words: str) -> None:
    try:
        assert merged(("-launch", from_words(words)))
    except UsageError as error:
        assert str(error).startswith("-launch")
