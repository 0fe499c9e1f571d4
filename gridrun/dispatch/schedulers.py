"""The schedulers there are, each imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from .base import Backend
    from .profile import Profile

BACKENDS = {
    "slurm": ("slurm", "Slurm"),
    "lsf": ("lsf", "Lsf"),
    "inprocess": ("inprocess", "InProcess"),
}


def backend_of(profile: Profile) -> Backend:
    """The scheduler that a profile sends to. Raises UsageError for a profile of this machine."""
    if profile.executor not in BACKENDS:
        raise UsageError(f"launch/{profile.name}.toml computes on this machine; nothing is sent from there")
    module, name = BACKENDS[profile.executor]
    options: dict[str, Any] = {"mem_unit": profile.mem_unit} if profile.executor == "lsf" else {}
    backend: Backend = getattr(import_module(f"gridrun.dispatch.{module}"), name)(**options)
    return backend
