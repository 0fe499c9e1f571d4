"""python -m benchmarks [--rounds 5] [--only hits,misses]

Measures the table of speeds and writes benchmarks/RESULTS.md, in ten to twenty minutes; a part of it (--only) is
printed instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from . import machine
from .report import page
from .result import Result
from .rounds import run
from .rows import ROWS

RESULTS = Path(__file__).with_name("RESULTS.md")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed of gridrun and of other tools.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each tool has its turn (default 5)")
    parser.add_argument("--only", help=f"some rows, with commas: {', '.join(ROWS)}")
    parser.add_argument("--folder", help="on which disk to measure (default: the system's temporary folder)")
    return parser.parse_args()


def say(line: str) -> None:
    """Progress goes to the error stream, the page to the output."""
    print(line, file=sys.stderr, flush=True)


def measured(names: list[str], n_rounds: int, folder: str | None) -> list[Result]:
    """The results of the named rows; what they store is removed after each."""
    results = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="gridrun-benchmark-", dir=folder) as place:
            results.append(run(ROWS[name], n_rounds, Path(place), say))
    return results


def main() -> int:
    options = _options()
    names = options.only.split(",") if options.only else list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        say(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
        return 2
    before = machine.load()
    results = measured(names, options.rounds, options.folder)
    text = page(results, machine.facts(before), options.rounds)
    if options.only:
        print(text)
    else:
        RESULTS.write_text(text, encoding="utf-8")
        say(f"written: {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
