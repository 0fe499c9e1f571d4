"""Settings on the command line: -key=value for every point, and the experiments that -exp names."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import UsageError, nearest
from ..experiment import check_known, enter, find_root, names

Function = TypeVar("Function", bound=Callable[..., Any])

# Words like -seed=3 are not options of click's: they come through as they are, and `parse` reads them.
TAKES_SETTINGS = {"ignore_unknown_options": True}
KEY = re.compile(r"--?([A-Za-z_]\w*)(?:=(.*))?", re.DOTALL)


def experiment_options(function: Function) -> Function:
    """-exp=NAME,NAME, --where and any -key=value, for commands that work on grids."""
    option = click.option(
        "-exp", "--exp", multiple=True, metavar="NAME", shell_complete=_complete,
        help="Experiment, or several as a,b or by repeating it; all by default.",
    )  # fmt: skip
    where = click.option(
        "-where", "--where", multiple=True, metavar="KEY=VALUE",
        help="Only points with this setting; also !=, <, <=, >, >=. Repeat it for several.",
    )  # fmt: skip
    settings = click.argument("settings", nargs=-1, type=click.UNPROCESSED, metavar="[-KEY=VALUE]...")
    return option(where(settings(function)))


def study(ctx: click.Context) -> Path:
    """The study that this command works on, ready for its experiments to be imported."""
    root = find_root(ctx.obj or Path.cwd())
    enter(root)
    return root


def chosen(root: Path, exp: Sequence[str]) -> list[str]:
    """The experiments named by -exp, each once, in the order given; all of them where none is named.

    Raises UsageError for a name that the study does not have.
    """
    wanted = [name for word in exp for name in word.split(",") if name]
    if exp and not wanted:
        raise UsageError(f"-exp= names no experiment; {root / 'experiments'} has {', '.join(names(root))}")
    for name in wanted:
        check_known(root, name)
    return list(dict.fromkeys(wanted or names(root)))


def parse(words: Sequence[str], options: Sequence[str] = ()) -> dict[str, Any]:
    """Settings from words: -key=value, --key=value or -key value.

    >>> parse(["-seed=3", "--lr=1e-3", "-layers", "[64, 10]", "-dataset=digits"])
    {'seed': 3, 'lr': 0.001, 'layers': [64, 10], 'dataset': 'digits'}

    Raises UsageError for a word that is no setting; `options` are the names it may have been meant for.
    """
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        match = KEY.fullmatch(word)
        if not match:
            raise UsageError(f"{word!r} is not a setting; a setting is -key=value")
        key, value = match.groups()
        if value is None:
            if not rest or KEY.fullmatch(rest[0]):
                raise UsageError(f"-{key} has no value: {nearest(key, options)} A setting is -key=value")
            value = rest.pop(0)
        found[key] = literal(value)
    return found


def literal(text: str) -> Any:
    """A Python literal, or else the text itself.

    >>> literal("0.1"), literal("None"), literal("fashion_mnist"), literal("'1'")
    (0.1, None, 'fashion_mnist', '1')
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    try:
        return [name for name in names(find_root(Path.cwd())) if name.startswith(incomplete)]
    except UsageError:
        return []
