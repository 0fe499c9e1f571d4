"""The tools that are compared. Each module has keep(function, folder) -> many(points) -> results.

keep() imports the tool; many() calls the function with each point's values by name, or gives what was stored.
"""

from __future__ import annotations

from importlib import import_module, metadata, util
from typing import Any

MODULES = {
    "gridrun": "gridrun_run",
    "joblib": "joblib_memory",
    "diskcache": "diskcache_memoize",
    "exca": "exca_mapinfra",
    "cachier": "cachier_files",
    "packed log": "packed_log",
}
LABELS = {
    "gridrun": "gridrun",
    "joblib": "joblib.Memory",
    "diskcache": "diskcache",
    "exca": "exca MapInfra",
    "cachier": "cachier",
}
IMPORTS = {"exca": ("exca", "pydantic"), "packed log": ("xxhash",)}


def load(tool: str) -> Any:
    """The module of a tool."""
    return import_module(f".{MODULES[tool]}", __name__)


def import_packages(tool: str) -> None:
    """Import what a program that uses the tool imports first."""
    for package in IMPORTS.get(tool, (tool,)):
        import_module(package)


def is_installed(tool: str) -> bool:
    """Whether a peer is here; what is no package (a floor) always is."""
    return tool not in LABELS or util.find_spec(tool) is not None


def version(package: str) -> str:
    """The installed version of a package, or "absent"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return str(getattr(import_module(package), "__version__", "")) if util.find_spec(package) else "absent"
