"""The head of a script for LSF: #BSUB lines, and where a job prints to."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UsageError, nearest

MEMORY_UNITS = {"KB": 1024**2, "MB": 1024, "GB": 1, "TB": 1 / 1024}  # in one GB
NAME = re.compile(r"[A-Za-z0-9._-]+")


class Request(NamedTuple):
    """What a job asks of LSF. n_tasks: 0 for a job that is no array; account: LSF's project."""

    name: str
    n_tasks: int = 0
    parallel: int | None = None
    cpus: int = 1
    timeout_min: int = 60
    mem_gb: float | None = 2.0
    mem_unit: str = "KB"
    gpus: int = 0
    queue: str = ""
    account: str = ""
    constraint: str = ""
    extra: Mapping[str, Any] = {}


def head(request: Request) -> list[str]:
    """The first lines of a script, up to its commands.

    >>> print("\\n".join(head(Request("a", n_tasks=10, parallel=5, mem_gb=1.5, queue="long"))))
    #!/bin/bash
    #BSUB -J "a[1-10]%5"
    #BSUB -n 1
    #BSUB -W 60
    #BSUB -M 1572864
    #BSUB -R "rusage[mem=1536] span[hosts=1]"
    #BSUB -q long
    #BSUB -r
    #BSUB -o /dev/null
    """
    extra = {key if key.startswith("-") else f"-{key}": value for key, value in request.extra.items()}
    lines = [flag("-J", name(request)), flag("-n", request.cpus), flag("-W", request.timeout_min)]
    if request.mem_gb is not None:
        lines.append(flag("-M", in_unit(request.mem_gb, request.mem_unit)))
    lines.append(flag("-R", resources(request, str(extra.pop("-R", None) or ""))))
    if request.gpus:
        lines.append(flag("-gpu", f"num={request.gpus}"))
    lines += [flag(key, value) for key, value in (("-q", request.queue), ("-P", request.account)) if value]
    lines += [flag(key, value) for key, value in extra.items() if value is not None and value is not False]
    # -r: started again if its machine is lost. What it prints goes to a file that can be read while it runs.
    return ["#!/bin/bash", *lines, "#BSUB -r", "#BSUB -o /dev/null"]


def resources(request: Request, asked: str) -> str:
    """One text for -R, since not every LSF adds several up; sections that were asked for win over ours.

    >>> resources(Request("a", mem_gb=2.0), "select[model==XEON] span[ptile=4]")
    'select[model==XEON] span[ptile=4] rusage[mem=2048]'
    """
    found = [asked] if asked else []
    if request.constraint:
        if asked and not re.match(r"(rusage|span|order|same|cu|affinity)\[", asked):
            raise UsageError(f"constraint = {request.constraint!r} and extra.-R = {asked!r}: say both in -R")
        found.insert(0, f"select[{request.constraint}]")
    if request.mem_gb is not None and "rusage[" not in asked:
        # LSF that was told no unit counts limits in KB, but reservations in MB
        unit = "MB" if request.mem_unit == "KB" else request.mem_unit
        found.append(f"rusage[mem={in_unit(request.mem_gb, unit)}]")
    if "span[" not in asked:
        found.append("span[hosts=1]")
    return " ".join(found)


def name(request: Request) -> str:
    """A job's name with its indices, which LSF counts from 1."""
    if not NAME.fullmatch(request.name):
        raise UsageError(f"LSF takes letters, digits and ._- in the name of a job, not {request.name!r}")
    if not request.n_tasks:
        return request.name
    limit = f"%{request.parallel}" if request.parallel else ""
    return f"{request.name}[1-{request.n_tasks}]{limit}"


def in_unit(mem_gb: float, unit: str) -> int:
    """Memory as LSF counts it, in whole units.

    >>> in_unit(1.5, "MB"), in_unit(1.5, "GB")
    (1536, 2)
    """
    if unit not in MEMORY_UNITS:
        raise UsageError(f"no unit of memory {unit!r}; {nearest(unit, MEMORY_UNITS)}")
    return math.ceil(mem_gb * MEMORY_UNITS[unit])


def flag(key: str, value: Any) -> str:
    """One #BSUB line, its value in quotes if it needs them.

    >>> flag("P", "big data"), flag("-x", True)
    ('#BSUB -P "big data"', '#BSUB -x')
    """
    key = key if key.startswith("-") else f"-{key}"
    if value is True:
        return f"#BSUB {key}"
    text = str(value)
    if not text.isprintable():
        raise UsageError(f"{key} {text!r}: a flag of LSF is one line")
    if re.fullmatch(r"[\w./:=+,@~-]+", text):
        return f"#BSUB {key} {text}"
    quote = "'" if set(text) & set('"$`\\') else '"'
    if quote in text:
        raise UsageError(f"{key} {text!r}: a flag of LSF can have one kind of quotes within it, not both")
    return f"#BSUB {key} {quote}{text}{quote}"


def exports(environment: Mapping[str, str]) -> list[str]:
    """Lines that export, each value quoted."""
    return [f"export {key}={shlex.quote(value)}" for key, value in environment.items()]
