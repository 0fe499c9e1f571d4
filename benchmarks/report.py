"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .result import Result
from .rounds import LONG_S
from .row import OURS, PEERS
from .tools import LABELS

HEAD = f"""\
# Speed, measured

Written by `make bench` (`python -m benchmarks`). Times are medians of {{n_rounds}} rounds. In a round every tool has
its turn, each in a fresh process; a tool that takes over {LONG_S} s has one turn only. `24x (9.7 s)` is 24 times
gridrun's time, the median of the ratios within each round. `best` is the quickest round; `cpu` is processor time,
which leaves out what other programs take of a machine in use.

For gridrun, templates and binding are included. Starting the interpreter, importing the tool and building the grid
are not (where the title does not say otherwise). No result is faked: a function that is called although its result is
stored raises, a peer that is not installed is called absent. Imports are timed with a warm pycache
(`PYTHONDONTWRITEBYTECODE` is unset in every measured process), the package alone in an interpreter started with `-S`.

"""
MEMORY = """
## Memory and files

Peak resident memory of the measured process, interpreter and imports included, and the number of files of its store.

"""


def page(results: Sequence[Result], facts: Mapping[str, str], n_rounds: int) -> str:
    """The whole page: targets and peers, notes, memory and files, machine and versions."""
    parts = [HEAD.format(n_rounds=n_rounds), _table(results), _notes(results), MEMORY, _memory(results)]
    return "".join([*parts, "\n## Machine\n\n", *(f"- {name}: {value}\n" for name, value in facts.items())])


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ------------------------------------------------------------------------------------------------------- main table
def _table(results: Sequence[Result]) -> str:
    header = ["", "target", "gridrun", "met", "floor or reference", *(LABELS[peer] for peer in PEERS)]
    return _markdown(header, [_line(result) for result in results])


def _line(result: Result) -> list[str]:
    row = result.row
    peers = [_peer(result, peer) for peer in PEERS]
    return [row.title, row.target or "–", _ours(result), result.verdict or "–", _floor(result), *peers]


def _ours(result: Result) -> str:
    value, cpu, unit = result.median(OURS), result.median(OURS, "cpu"), result.row.unit
    if value is None:
        return "failed"
    if not unit:
        return f"**{amount(value, unit)}**"
    processor = "" if cpu is None else f", cpu {amount(cpu, unit)}"
    return f"**{amount(value, unit)}** (best {amount(result.best(OURS), unit)}{processor})"


def _floor(result: Result) -> str:
    reference, unit = result.row.reference, result.row.unit
    floor = result.median(OURS, "floor")
    if floor is not None:  # measured beside gridrun in the same process
        ratio = (result.median(OURS) or 0) / floor
        return f"{result.measured[OURS][0]['floor_name']}: {amount(floor, unit)}; gridrun is {ratio:.2f}x that"
    value = result.median(reference)
    return f"{reference}: {_beside(result, reference)}" if value is not None else "–"


def _peer(result: Result, peer: str) -> str:
    if result.median(peer) is None:
        missing = "absent" if result.failed.get(peer) == "not installed" else "failed"
        return missing if peer in result.failed else result.row.absent.get(peer, "–")
    return _beside(result, peer)


def _beside(result: Result, tool: str) -> str:
    value, ratio, unit = result.median(tool), result.ratio(tool), result.row.unit
    if value is None or ratio is None or not unit:
        return amount(value or 0, unit)
    return f"{times(ratio)} ({amount(value, unit)})"


def times(ratio: float) -> str:
    """How many times as long.

    >>> times(24.13), times(1.234), times(0.0123), times(2345.6)
    ('24x', '1.2x', '0.01x', '2,346x')
    """
    return f"{ratio:,.{_digits(ratio)}f}x" if ratio < 10 else f"{ratio:,.0f}x"


def amount(value: float, unit: str) -> str:
    """A number with two or three digits, and its unit.

    >>> amount(0.4321, "s"), amount(7.89, "µs"), amount(23.4, "µs"), amount(2345.6, "µs"), amount(3, "")
    ('0.43 s', '7.9 µs', '23.4 µs', '2,346 µs', '3')
    """
    return f"{value:,.{_digits(value) if unit else 0}f} {unit}".strip()


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 1 else 2


# -------------------------------------------------------------------------------------------------- what goes beside
def _notes(results: Sequence[Result]) -> str:
    named = [(result.row.title, LABELS.get(t, t), result.note(t)) for result in results for t in result.row.tools]
    lines = [f"- {title}; {tool}: {note}.\n" for title, tool, note in named if note]
    return "\nNotes\n\n" + "".join(lines) if lines else ""


def _memory(results: Sequence[Result]) -> str:
    header = ["", *(LABELS[tool] for tool in (OURS, *PEERS))]
    shown = [result for result in results if result.row.measures_memory]
    return _markdown(header, [[r.row.title, *(_resources(r, tool) for tool in (OURS, *PEERS))] for r in shown])


def _resources(result: Result, tool: str) -> str:
    memory, n_files = result.median(tool, "peak_mb"), result.n_files.get(tool, 0)
    if memory is None:
        return "–"
    return f"{memory:,.0f} MB" + (f", {n_files:,} file{'s' * (n_files > 1)}" if n_files else "")
