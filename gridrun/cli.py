"""The command line: which commands there are, which study they work on, and what the exit statuses mean.

0    everything that was asked for is done
1    something is not: a point failed or is missing, a figure was not drawn, a file is damaged, a scheduler refused
2    the command line names something that does not exist
130  Ctrl-C
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import click

from . import GridrunWarning, __version__
from .commands._lazy import LazyGroup
from .commands._lazy import find as find
from .errors import GridrunError, UsageError

COMMANDS = (
    *("train", "status", "wait", "logs", "resume", "cancel"),
    *("figures", "query", "show", "gc", "doctor", "new", "init"),
    *("data", "accuracy", "faults"),
)

DONE, NOT_DONE, USAGE, INTERRUPTED = 0, 1, 2, 130

HELP = """Run every point of a grid once, and draw the figures from what is stored.

A study is a folder with experiments/; the commands work on the one around the current folder.
"""
EPILOG = """\b
Examples:
  gridrun train -exp=mismatch_quickstart -n_threads=2
  gridrun figures -exp=mismatch_quickstart
  gridrun query digits_cnn --where seed=0 --format=csv
  gridrun COMMAND --help

\b
Completion of commands and experiments in your shell:
  bash   eval "$(_GRIDRUN_COMPLETE=bash_source gridrun)"      in ~/.bashrc
  zsh    eval "$(_GRIDRUN_COMPLETE=zsh_source gridrun)"       in ~/.zshrc
  fish   _GRIDRUN_COMPLETE=fish_source gridrun | source       in ~/.config/fish/completions/gridrun.fish
"""


@click.command(cls=LazyGroup, names=COMMANDS, help=HELP, epilog=EPILOG)
@click.version_option(__version__, "--version", message="gridrun %(version)s")
def app() -> None:
    pass


def main(command: str | None = None, script: str | None = None) -> NoReturn:
    """Run the command line and leave with its exit status.

    command: one of COMMANDS, for a script that is one command; script: its __file__, in the study's folder.
    """
    entry = app if command is None else find(command)
    name = "gridrun" if script is None else Path(script).name
    start = Path.cwd() if script is None else Path(script).resolve().parent
    sys.exit(status_of(entry, name, start))


def _tell(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """A warning of ours as one line; another one with the place it comes from."""
    if issubclass(category, GridrunWarning):
        click.echo(f"note: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno), err=True, nl=False)


def status_of(entry: click.Command, name: str, start: Path) -> int:
    """The exit status of one command line, our errors as one line; others keep their traceback."""
    warnings.showwarning = _tell
    try:
        outcome = entry.main(prog_name=name, standalone_mode=False, obj=start, max_content_width=110)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return USAGE
    except GridrunError as error:
        click.echo(f"{name}: {error}", err=True)
        return USAGE if isinstance(error, UsageError) else NOT_DONE
    return NOT_DONE if outcome is False else DONE
