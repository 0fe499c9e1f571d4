"""What the numbers were measured on."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

from .tools import version

PACKAGES = ("gridrun", "joblib", "diskcache", "exca", "cachier", "xxhash", "numpy", "torch")


def load() -> str:
    """How busy the machine is: processes that want to run, over the last 1 and 5 minutes."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} (1 minute), {five:.1f} (5 minutes)"


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def facts(load_before: str) -> dict[str, str]:
    """Date, machine, and versions of what was compared."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "load": f"{load_before} before, {load()} after, this program's own included",
        "Python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
