"""gridrun init: a study of one's own, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import click

from ..errors import UsageError
from .new import TEMPLATES, write_page

EPILOG = """\b
Example:
  gridrun init my_study && cd my_study
  python train.py && python make_figures.py
"""
FILES = {
    "train.py": "train.py",
    "make_figures.py": "make_figures.py",
    "launch/local.toml": "launch/local.toml",
    "launch/slurm.toml": "launch/slurm.toml",
    "launch/lsf.toml": "launch/lsf.toml",
    "gitignore.txt": ".gitignore",
    "sessions.md": "sessions/README.md",
}


@click.command("init", short_help="Start a study in a folder of its own.", epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Start a study in FOLDER: experiments/, launch/, sessions/, train.py, make_figures.py.

    It works wherever gridrun is installed. Nothing that exists is overwritten.
    """
    in_the_way = [name for name in [*FILES.values(), "experiments"] if (folder / name).exists()]
    if in_the_way:
        raise UsageError(f"{folder} already holds {', '.join(in_the_way)}; name another folder")
    for template, name in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copyfile(TEMPLATES / template, folder / name)
    (folder / "experiments").mkdir()
    (folder / "experiments" / "__init__.py").touch()
    page = write_page(folder, "first_question")
    click.echo(f"a study in {folder}/, its first experiment in {page}")
    click.echo(f"run it:  cd {folder} && python train.py && python make_figures.py")
