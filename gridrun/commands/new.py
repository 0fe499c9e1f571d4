"""gridrun new: a working experiment page to start from."""

from __future__ import annotations

import keyword
from pathlib import Path

import click

from ..errors import UsageError
from ._settings import study

TEMPLATES = Path(__file__).parent / "templates"
EPILOG = """\b
Example:
  gridrun new my_question
  python train.py -exp=my_question
  python make_figures.py -exp=my_question
"""


@click.command("new", short_help="Write a working experiment page.", epilog=EPILOG)
@click.argument("name")
@click.pass_context
def command(ctx: click.Context, name: str) -> None:
    """Write experiments/NAME.py: a question, its grid, its measurement and its figure, ready to run."""
    page = write_page(study(ctx), name)
    click.echo(f"wrote {page}")
    click.echo(f"run it:  gridrun train -exp={name} && gridrun figures -exp={name}")


def write_page(root: Path, name: str) -> Path:
    """A new page of a study. Raises UsageError for a name that Python cannot import, or that is taken."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise UsageError(f"{name!r} cannot be imported; use letters, digits and _ (my_question)")
    page = root / "experiments" / f"{name}.py"
    text = (TEMPLATES / "experiment.py").read_text(encoding="utf-8").replace("NAME", name)
    try:
        with open(page, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{page} exists already; choose another name") from None
    return page
