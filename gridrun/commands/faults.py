"""gridrun faults: fault lists and campaigns. Each of its commands is a file faults_NAME.py, imported when called."""

from __future__ import annotations

import click

from ._lazy import LazyGroup

COMMANDS = ("sample", "campaign", "summary", "estimate", "compare")

EPILOG = """\b
Examples:
  gridrun faults sample -n ResNet20 -d cifar10 -o list.csv
  gridrun faults campaign -n ResNet20 -d cifar10 --fault-list list.csv -o out.csv
  gridrun faults summary out.csv --by bit
  gridrun faults estimate -n ResNet20 -d cifar10 --half-width=.002
  gridrun faults compare out.csv ResNet20_FL.csv
  gridrun faults COMMAND --help
"""


@click.command(
    "faults",
    cls=LazyGroup,
    names=COMMANDS,
    family="faults",
    short_help="Bit faults in weights: lists, campaigns, rates.",
    epilog=EPILOG,
)
def command() -> None:
    """Sample fault lists, inject them, estimate critical rates, and compare the results of campaigns."""
