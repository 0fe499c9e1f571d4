"""A group of commands, each a file that is imported when the command is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ..errors import UsageError, nearest


class LazyGroup(click.Group):
    """The commands `names` of gridrun/commands, in this order.

    family: of `gridrun faults campaign` it is "faults", and its file is faults_campaign.py; none for `gridrun train`.
    """

    def __init__(self, *args: Any, names: tuple[str, ...], family: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.names, self.family = names, family

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return find(cmd_name, self.family) if cmd_name in self.names else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.names:
            kind = f"command {self.family}".strip()
            raise UsageError(f"no {kind} {args[0]!r}; {nearest(args[0], self.names)}")
        return super().resolve_command(ctx, args)


def find(name: str, family: str = "") -> click.Command:
    """The click command of gridrun/commands/<name>.py, or of <family>_<name>.py."""
    file = f"{family}_{name}" if family else name
    found: click.Command = import_module(f"gridrun.commands.{file}").command
    return found
