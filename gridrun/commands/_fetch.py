"""Fetching a data set, with a bar for each file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from ..errors import GridrunError
from ._bar import Bar


def fetch(dataset: str, data_dir: Path | None) -> None:
    """Fetch the files of a data set that are not there. Raises GridrunError where that fails."""
    from ..data.download import download

    with ExitStack() as stack:
        bars: dict[str, Bar] = {}

        def tell(file: str, n: int, total: int) -> None:
            if file not in bars:
                stack.close()  # the file before is there
                bars[file] = stack.enter_context(Bar(file, total // 10**6, "MB"))
                click.echo(f"fetching {file}", err=True)
            bars[file].to(n // 10**6)

        try:
            download(dataset, data_dir, tell)
        except (OSError, ValueError) as error:
            raise GridrunError(str(error)) from error
