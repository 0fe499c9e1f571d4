"""gridrun faults: fault lists and campaigns. Each of its commands is a file faults_NAME.py, imported when called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ..errors import UsageError, nearest

COMMANDS = ("sample", "campaign", "compare")

EPILOG = """\b
Examples:
  gridrun faults sample -n ResNet20 -d cifar10 -o list.csv
  gridrun faults campaign -n ResNet20 -d cifar10 --fault-list list.csv -o out.csv
  gridrun faults compare out.csv ResNet20_FL.csv
  gridrun faults COMMAND --help
"""


class FaultCommands(click.Group):
    """The commands on faults."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return find(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            raise UsageError(f"no command faults {args[0]!r}; {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


def find(name: str) -> click.Command:
    """The click command of gridrun/commands/faults_<name>.py."""
    found: click.Command = import_module(f"gridrun.commands.faults_{name}").command
    return found


@click.command("faults", cls=FaultCommands, short_help="Bit faults in weights: lists, campaigns.", epilog=EPILOG)
def command() -> None:
    """Sample fault lists, inject them, and compare the results of fault campaigns."""
