"""launch/<mode>.toml: read strictly."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridrun.dispatch.profile import CHECKS, Profile, load_profile, modes, parse_profile
from gridrun.errors import UsageError

FULL = """
executor = "slurm"
setup = ["module load python/3.11", "source ~/venv/bin/activate"]
python = "/opt/my python/bin/python"
parallel = 0
max_array = 20
max_mem_gb = 128
retries = 0

[settings]
mem_gb = 4
queue = "long"

[settings.extra]
exclude = "n3"
"""


def write(root: Path, name: str, text: str) -> Path:
    file = root / "launch" / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_profile_is_what_its_file_says(tmp_path: Path) -> None:
    write(tmp_path, "night", FULL)
    profile = load_profile(tmp_path, "night")
    assert (profile.name, profile.executor, profile.retries, profile.max_mem_gb) == ("night", "slurm", 0, 128.0)
    assert profile.setup == ("module load python/3.11", "source ~/venv/bin/activate")
    assert profile.interpreter == "'/opt/my python/bin/python'"
    assert (profile.parallel, profile.max_array) == (None, 20)
    assert profile.layer == ("launch/night.toml [settings]", profile.settings)
    assert Profile.from_dict(json.loads(json.dumps(profile.as_dict()))) == profile


def test_local_needs_no_file_and_others_do(tmp_path: Path) -> None:
    assert load_profile(tmp_path, "local") == Profile("local", "local")
    with pytest.raises(UsageError, match="-mode=slurm: no such profile in .*launch; it has local"):
        load_profile(tmp_path, "slurm")


def test_an_empty_file_is_the_defaults_of_the_executor_it_is_named_after(tmp_path: Path) -> None:
    write(tmp_path, "slurm", "")
    assert load_profile(tmp_path, "slurm") == Profile("slurm", "slurm")
    assert Profile("slurm", "slurm").interpreter == sys.executable
    write(tmp_path, "night", "")
    with pytest.raises(UsageError, match=r"launch/night.toml: executor = 'night'; it must be one of local, slurm"):
        load_profile(tmp_path, "night")


def test_bsub_is_lsf_unless_it_has_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "lsf", 'mem_unit = "MB"')
    assert load_profile(tmp_path, "bsub") == load_profile(tmp_path, "lsf")
    write(tmp_path, "bsub", "")
    assert load_profile(tmp_path, "bsub") == Profile("bsub", "lsf")


@pytest.mark.parametrize("mode", ["", ".", "..", "../launch/slurm", "launch/slurm", "slurm.toml", "Slurm", "a\0b"])
def test_a_mode_is_a_name_not_a_path(tmp_path: Path, mode: str) -> None:
    write(tmp_path, "slurm", "")
    with pytest.raises(UsageError, match="no such profile"):
        load_profile(tmp_path, mode)
    assert modes(tmp_path) == ["local", "slurm"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("executer = 'slurm'", ["launch/slurm.toml: no key 'executer'", "did you mean 'executor'?"]),
        ("[setings]\nmem_gb = 4", ["'setings'", "did you mean 'settings'?"]),
        ("mem_gb = 4", ["no key 'mem_gb'"]),
        ("[settings]\nmemgb = 4", ["launch/slurm.toml [settings]", "did you mean 'mem_gb'?"]),
        ("[settings]\nmem_gb = 0", ["[settings]: mem_gb = 0", "above 0"]),
        ("settings = 3", ["settings = 3", "a table"]),
        ("executor = 'pbs'", ["executor = 'pbs'", "one of local, slurm, lsf"]),
        ("executor = ['slurm']", ["executor = ['slurm']"]),
        ("setup = [3]", ["setup = [3]", "shell lines"]),
        ("retries = -1", ["retries = -1"]),
        ("mem_unit = 'kilo'", ["mem_unit = 'kilo'", "KB, MB, GB, TB"]),
        ("parallel = 1.5", ["parallel = 1.5"]),
        ("parallel = ", ["is no TOML"]),
        ("a = " + "[" * 100_000, ["is no TOML"]),
        ("retries = " + "9" * 10_000, ["is no TOML"]),
    ],
)
def test_an_error_names_the_file_the_key_and_the_way_out(tmp_path: Path, text: str, words: list[str]) -> None:
    write(tmp_path, "slurm", text)
    with pytest.raises(UsageError) as caught:
        load_profile(tmp_path, "slurm")
    assert [word for word in words if word not in str(caught.value)] == [], caught.value
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "slurm", "")
    file.write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match="slurm.toml is no text in UTF-8"):
        load_profile(tmp_path, "slurm")
    file.unlink()
    file.mkdir()
    with pytest.raises(UsageError, match="slurm.toml cannot be read"):
        load_profile(tmp_path, "slurm")


keys = st.sampled_from([*CHECKS, "settings.mem_gb", "settings.queue", "settings.extra.exclude", "memory"])
values = st.sampled_from(
    ["0", "1", "-3", "2.5", "nan", "inf", "true", '"slurm"', '"lsf"', '"KB"', "[]", '["ls"]', '["a\\nb"]', "{}",
     '{mem_gb = 4}', "{extra = {a = 1}}", "2026-11-21", '"\\u0000"', "99999999999999999999"]
)  # fmt: skip
lines = st.builds("{} = {}".format, keys, values)


@given(st.lists(lines, max_size=6).map("\n".join) | st.text(max_size=60))
def test_whatever_a_file_holds_is_a_profile_or_a_usage_error(text: str) -> None:
    try:
        profile = parse_profile("slurm", text)
    except UsageError as error:
        assert str(error).startswith("launch/slurm.toml")
        return
    assert Profile.from_dict(json.loads(json.dumps(profile.as_dict()))) == profile
