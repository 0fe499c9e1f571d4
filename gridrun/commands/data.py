"""gridrun data: which data sets there are, how many samples they have, and their files fetched."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError, nearest
from ._fetch import fetch
from ._screen import FORMATS, show_rows

EPILOG = """\b
Examples:
  gridrun data                              every data set
  gridrun data ecg                          reads it, and says how many samples it has
  gridrun data fashion_mnist --download     fetches it first, unless it is there

Files are looked for in --data-dir, else in the folder that GRIDRUN_DATA names, else in data.
"""
OFFLINE = ("digits", "synthetic_ecg", "tones")


@click.command("data", short_help="List data sets, fetch them.", epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-download", "--download", "is_asked_to_fetch", is_flag=True, help="Fetch what is not there.")
@click.option("-data_dir", "--data-dir", type=click.Path(path_type=Path), metavar="FOLDER", help="Where files are.")
@click.option("--format", "form", type=FORMATS, default="table", help="How to print it.")
def command(names: tuple[str, ...], is_asked_to_fetch: bool, data_dir: Path | None, form: str) -> None:
    """List the data sets; or read those named, which are fetched first if that is asked for."""
    from ..data import KNOWN

    for name in names:
        if name not in KNOWN:
            raise UsageError(f"no data set {name!r}; {nearest(name, KNOWN)}")
    if is_asked_to_fetch and not names:
        raise UsageError("--download fetches the data sets that are named; gridrun data lists their names")
    for name in names if is_asked_to_fetch else ():
        if name not in OFFLINE:
            fetch(name, data_dir)
    show_rows([counted(name, data_dir) for name in names] or [listed(name) for name in KNOWN], form)


def listed(name: str) -> dict[str, object]:
    """What is known of a data set without reading it.

    >>> listed("digits")["sample"], listed("ecg")["files"], listed("spoken_digits")["files"]
    ('1 x 8 x 8', '--download', 'by hand')
    """
    from ..data import about
    from ..data.download import FILES

    data = about(name)
    files = "offline" if name in OFFLINE else "--download" if name in FILES else "by hand"
    sample = " x ".join(map(str, data.sample_shape))
    return {"name": name, "sample": sample, "classes": data.n_classes, "files": files, "what": data.source}


def counted(name: str, data_dir: Path | None) -> dict[str, object]:
    """How many samples a data set has, and how many of its test's differ (a rare class of heartbeats stands there many
    times). Raises MissingData where its files are not there."""
    from ..data import load
    from ..tasks.settings import mendable

    with mendable():
        splits = load(name, data_dir)
    distinct = len({sample.numpy().tobytes() for sample in splits.test[0]})
    samples = {"training": len(splits.train[1]), "test": len(splits.test[1]), "distinct in test": distinct}
    return {"name": name, **samples, "sample": listed(name)["sample"], "classes": splits.n_classes}
