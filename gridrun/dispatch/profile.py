"""launch/<mode>.toml: where and how a study's points run elsewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from .settings import Layer, merged
from .values import above_zero, checked, line, one_of, shell_lines, table, whole

EXECUTORS = ("local", "slurm", "lsf", "inprocess")  # the last: a scheduler for tests, in the process that submits
ALIASES = {"bsub": "lsf"}
UNITS = ("KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Profile:
    """A mode of `-mode=NAME`.

    settings: what its tasks ask for, unless an architecture, an experiment or the command line says otherwise.
    setup: shell lines before the command. python: the interpreter on the nodes; "" is the one that submits.
    parallel: how many tasks of an array may run at once (None: all). max_array: tasks of one array (None: as many as
    the scheduler takes). max_mem_gb, max_timeout_min: how far gridrun raises what a task ran out of by itself.
    retries: how often a task that died is started again. task_min: how long a task should last, in minutes.
    checkpoint_s: seconds between the checkpoints of a training. mem_unit: of LSF's -M.
    """

    name: str
    executor: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    python: str = ""
    parallel: int | None = 256
    max_array: int | None = None
    max_mem_gb: float = 64.0
    max_timeout_min: int = 2880
    retries: int = 3
    task_min: float = 5.0
    checkpoint_s: float = 60.0
    mem_unit: str = "KB"

    @property
    def layer(self) -> Layer:
        """Its settings, for merged()."""
        return f"launch/{self.name}.toml [settings]", self.settings

    @property
    def interpreter(self) -> str:
        """The interpreter on the nodes, as a word of shell."""
        return shlex.quote(self.python or sys.executable)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` reads it."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**plain, "settings": dict(self.settings), "setup": list(self.setup)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Profile:
        """A profile from as_dict().

        >>> Profile.from_dict(Profile("slurm", "slurm", parallel=None).as_dict()).parallel is None
        True
        """
        filled = {key: 0 if value is None else value for key, value in given.items()}
        return profile_from(str(filled.pop("name", "")), filled)


def _or_all(most: int) -> Callable[[Any], int | None]:
    """A whole number, where 0 means: no limit."""
    check = whole(0, most)
    return lambda value: check(value) or None


CHECKS: dict[str, Callable[[Any], Any]] = {
    "executor": lambda value: one_of(*EXECUTORS)(ALIASES.get(value, value) if isinstance(value, str) else value),
    "settings": table,
    "setup": shell_lines,
    "python": line,
    "parallel": _or_all(10**6),
    "max_array": _or_all(10**7),
    "max_mem_gb": above_zero(100_000),
    "max_timeout_min": whole(1, 60 * 24 * 366),
    "retries": whole(0, 1000),
    "task_min": above_zero(60 * 24 * 366),
    "checkpoint_s": above_zero(1e9),
    "mem_unit": one_of(*UNITS),
}


def load_profile(root: Path, mode: str) -> Profile:
    """The profile of a mode, from launch/<mode>.toml of the study; `local` needs no file, and bsub is lsf.

    Raises UsageError for a mode without a profile (with the near one) and for anything wrong in it.
    """
    file = root / "launch" / f"{mode}.toml"
    if mode in ALIASES and not file.exists():
        mode = ALIASES[mode]
        file = file.with_stem(mode)
    if mode not in (known := modes(root)):
        raise UsageError(f"-mode={mode}: no such profile in {root / 'launch'}; {nearest(mode, known)}")
    if mode == "local" and not file.exists():
        return Profile("local", "local")
    return parse_profile(mode, _content(file))


def modes(root: Path) -> list[str]:
    """The modes of a study: its profiles, and local.

    >>> modes(Path("/nowhere"))
    ['local']
    """
    return sorted({"local", *(path.stem for path in root.glob("launch/*.toml"))})


def _content(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text in UTF-8, which TOML must be") from None


def parse_profile(name: str, text: str) -> Profile:
    """A profile from the text of its file.

    >>> profile = parse_profile("slurm", "parallel = 8\\n[settings]\\nmem_gb = 4")
    >>> profile.executor, profile.parallel, profile.settings
    ('slurm', 8, {'mem_gb': 4})

    Raises UsageError for text that is no TOML and for a profile with anything unknown or out of range in it.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"launch/{name}.toml is no TOML: {str(error)[:200]}") from None
    return profile_from(name, given)


def profile_from(name: str, given: Mapping[str, Any]) -> Profile:
    """A profile from what its file holds, checked; one that names no executor is called after it."""
    where = f"launch/{name}.toml"
    found = checked(where, {"executor": name, **given}, CHECKS)
    merged((f"{where} [settings]", found.get("settings", {})))  # what is wrong in it is said now, not when submitting
    return Profile(name, **found)
