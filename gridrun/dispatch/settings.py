"""What a task asks of the scheduler, merged from everywhere it can be said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import UsageError
from .values import above_zero, checked, line, or_none, shown, table, whole

ALIASES = {"queue": "partition"}  # LSF's word
Layer = tuple[str, Mapping[str, Any]]

# What gridrun writes into every script itself, and how to ask for it; for Slurm and for LSF.
OWN_FLAGS = {
    "array": "gridrun makes the arrays; `chunk` says how many points a task computes",
    "job-name": "jobs are found by the names that gridrun gives them",
    "output": "`gridrun logs` finds what a task printed",
    "error": "`gridrun logs` finds what a task printed",
    "open-mode": "logs are appended to",
    "requeue": "gridrun decides what is started again",
    "no-requeue": "gridrun decides what is started again",
    "signal": "gridrun asks for the signal that saves a training",
    "wait": "`gridrun wait` waits",
    "wrap": "set-up lines go into the profile, as `setup`",
    "ntasks": "a task of gridrun is one process; use `cpus_per_task`",
    "mem": "use `mem_gb`",
    "time": "use `timeout_min`",
    "cpus-per-task": "use `cpus_per_task`",
    "partition": "use `partition`",
    "account": "use `account`",
    "qos": "use `qos`",
    "constraint": "use `constraint`",
    "J": "jobs are found by the names that gridrun gives them",
    "o": "`gridrun logs` finds what a task printed",
    "e": "`gridrun logs` finds what a task printed",
    "oo": "`gridrun logs` finds what a task printed",
    "eo": "`gridrun logs` finds what a task printed",
    "K": "`gridrun wait` waits",
    "M": "use `mem_gb`",
    "W": "use `timeout_min`",
    "n": "use `cpus_per_task`",
    "q": "use `queue`",
}


def flags(value: Any) -> dict[str, Any]:
    """Other flags of the scheduler, by name: {"exclude": "n3"} for --exclude=n3, {"exclusive": True} for --exclusive.

    >>> flags({"exclude": "n3", "-P": "vision"})
    {'exclude': 'n3', '-P': 'vision'}
    """
    found = {}
    for name, content in table(value).items():
        bare = name.lstrip("-")
        if not bare or not name.isprintable() or set(name) & set(" ='\"\\"):
            raise ValueError(f"flags by name; {shown(name)} is none")
        if bare in OWN_FLAGS:
            raise ValueError(f"a table without {shown(name)}: {OWN_FLAGS[bare]}")
        if content is not None and not isinstance(content, (str, int, float)):
            raise ValueError(f"a table of texts, numbers and true; {name} is {shown(content)}")
        if isinstance(content, str) and not content.isprintable():
            raise ValueError(f"a table of texts on one line; {name} is {shown(content)}")
        found[name] = content
    return found


CHECKS: dict[str, Callable[[Any], Any]] = {
    "mem_gb": above_zero(100_000),
    "timeout_min": whole(1, 60 * 24 * 366),
    "cpus_per_task": whole(1, 4096),
    "gpus_per_node": whole(0, 64),
    "partition": line,
    "account": line,
    "qos": line,
    "constraint": line,
    "extra": flags,
    "point_s": or_none(above_zero(1e9)),
    "chunk": or_none(whole(1, 10**9)),
}


@dataclass(frozen=True)
class Settings:
    """What one task asks for; `launch_settings` of a point, an experiment or an architecture, in one form.

    partition (or queue): "" is the cluster's default. extra: any other flag of the scheduler. point_s: seconds that a
    point takes, where it is known beforehand. chunk: points per task, instead of gridrun's choice.
    """

    mem_gb: float = 2.0
    timeout_min: int = 60
    cpus_per_task: int = 1
    gpus_per_node: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    point_s: float | None = None
    chunk: int | None = None

    def __hash__(self) -> int:  # `extra` is a dict
        return hash(json.dumps(self.as_dict(), sort_keys=True))

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], where: str = "these settings") -> Settings:
        """Settings from a dict.

        >>> Settings.from_dict(Settings(mem_gb=4.0).as_dict()) == Settings(mem_gb=4.0)
        True
        """
        return merged((where, given))


KEYS = tuple(each.name for each in fields(Settings))


def merged(*layers: Layer) -> Settings:
    """Settings from layers, each (its name, its settings); later ones win, and `extra` is merged flag by flag.

    >>> both = merged(("the profile", {"mem_gb": 8, "extra": {"exclude": "n3"}}), ("experiment", {"queue": "long"}))
    >>> both.mem_gb, both.partition, dict(both.extra)
    (8.0, 'long', {'exclude': 'n3'})

    False takes a flag of an earlier layer away. Raises UsageError that names the layer, the key and the near one.
    """
    together = joined(*layers)
    flagged = together.pop("extra", {}).items()
    extra = {flag: content for flag, content in flagged if not (content is None or content is False)}  # 0 is a value
    return Settings(**together, extra=extra)


def joined(*layers: Layer) -> dict[str, Any]:
    """Several layers as one, to be merged later: only what they say, without defaults.

    >>> joined(("architecture", {"mem_gb": 8}), ("experiment", {"queue": "long"}))
    {'mem_gb': 8.0, 'partition': 'long'}
    """
    together: dict[str, Any] = {}
    for name, given in layers:
        settings = read(name, given)
        if "extra" in settings:
            settings["extra"] = {**together.get("extra", {}), **settings["extra"]}
        together |= settings
    return together


def read(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """One layer, checked, under the names of Settings."""
    found = checked(name, given, {**CHECKS, **{alias: CHECKS[key] for alias, key in ALIASES.items()}})
    for alias, key in ALIASES.items():
        if alias in found and key in found:
            raise UsageError(f"{name}: {alias} and {key} are the same setting; keep one of them")
    return {ALIASES.get(key, key): value for key, value in found.items()}


def origins(*layers: Layer) -> dict[str, str]:
    """Which layer each setting that is not a default comes from; flags as extra.NAME.

    >>> origins(("profile", {"mem_gb": 8, "qos": "low"}), ("-launch", {"mem_gb": 9, "extra": {"exclude": "n3"}}))
    {'mem_gb': '-launch', 'qos': 'profile', 'extra.exclude': '-launch'}
    """
    found: dict[str, str] = {}
    for name, given in layers:
        for key, value in read(name, given).items():
            names = [f"extra.{flag}" for flag in value] if key == "extra" else [key]
            found |= dict.fromkeys(names, name)
    return found


def from_words(words: str, where: str = "-launch") -> dict[str, Any]:
    """Settings of a command line: KEY=VALUE,KEY=VALUE; what follows a comma and has no = goes on.

    >>> from_words("mem_gb=8,partition=long,short,extra.exclude=n3")
    {'mem_gb': 8.0, 'partition': 'long,short', 'extra': {'exclude': 'n3'}}

    Raises UsageError as merged() does.
    """
    pairs: list[list[str]] = []
    for piece in words.split(","):
        key, sign, value = piece.partition("=")
        if sign:
            pairs.append([key.strip(), value])
        elif pairs:
            pairs[-1][1] += f",{piece}"
        else:
            raise UsageError(f"{where}={words}: {piece!r} is no setting; write mem_gb=8,timeout_min=120")
    found: dict[str, Any] = {}
    for key, value in pairs:
        start, _, flag = key.partition(".")
        if start == "extra" and flag:
            found.setdefault("extra", {})[flag] = _plain(value)
        else:
            found[key] = _plain(value) if ALIASES.get(key, key) not in TEXTS else value
    return read(where, found)


TEXTS = tuple(key for key, check in CHECKS.items() if check is line)
WORDS = {"true": True, "false": False, "none": None}


def _plain(text: str) -> Any:
    """A number, true, false, none, or the text."""
    if text.strip().lower() in WORDS:
        return WORDS[text.strip().lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
