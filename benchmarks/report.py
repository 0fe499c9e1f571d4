"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .rounds import Result
from .row import OURS, PEERS
from .tools import LABELS

HEAD = """\
# Speed, measured

Written by `make bench` (`python -m benchmarks`). Times are medians of {n_rounds} rounds; in a round every tool has its
turn, each measurement in a fresh process; `24x (9.7 s)` is 24 times gridrun's time, the median of the ratios within
each round. `best` is the quickest round, `cpu` the processor time, which leaves out what other programs of a machine
in use take. For gridrun, templates and binding are included; the interpreter's start, the import of the tool and the
building of the grid are not. A peer whose package is missing is called absent; a row's peers without a measurement
say why. Imports are timed with a warm pycache (`PYTHONDONTWRITEBYTECODE` is unset for every measured process).

"""
MEMORY = """
## Memory and files

Peak resident memory of the measured process, interpreter and imports included, and the number of files of its store.

"""


def page(results: Sequence[Result], facts: Mapping[str, str], n_rounds: int) -> str:
    """The whole page: targets and peers, notes, memory and files, machine and versions."""
    parts = [
        HEAD.format(n_rounds=n_rounds),
        _table(results),
        _notes(results),
        MEMORY,
        _memory(results),
        "\n## Machine\n\n",
        *(f"- {name}: {value}\n" for name, value in facts.items()),
    ]
    return "".join(parts)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _table(results: Sequence[Result]) -> str:
    header = ["", "target", "gridrun", "met", "floor or reference", *(LABELS[peer] for peer in PEERS)]
    return _markdown(header, [_line(result) for result in results])


def _line(result: Result) -> list[str]:
    row = result.row
    peers = [_peer(result, peer) for peer in PEERS]
    return [row.title, row.target, _ours(result), result.verdict, _floor(result), *peers]


def _ours(result: Result) -> str:
    value = result.median(OURS)
    if value is None:
        return f"failed: {result.failed.get(OURS, '')}"
    unit, cpu = result.row.unit, result.median(OURS, "cpu")
    if not unit:
        return f"**{amount(value, unit)}**"
    processor = "" if cpu is None else f", cpu {amount(cpu, unit)}"
    return f"**{amount(value, unit)}** (best {amount(result.best(OURS), unit)}{processor})"


def _floor(result: Result) -> str:
    floor = result.median(OURS, "floor")
    if floor is not None:
        name, ratio = result.measured[OURS][0]["floor_name"], (result.median(OURS) or 0) / floor
        return f"{name} {amount(floor, result.row.unit)} (gridrun {ratio:.2f}x)"
    value = result.median(result.row.reference)
    if value is None:
        return result.failed.get(result.row.reference, "")
    return f"{result.row.reference} {amount(value, result.row.unit)} ({_times(result.ratio(result.row.reference))})"


def _peer(result: Result, peer: str) -> str:
    value = result.median(peer)
    if value is None:
        failure = result.failed.get(peer, "")
        return result.row.absent.get(
            peer, "absent" if failure == "not installed" else failure and "failed" or "–"
        )
    if not result.row.unit:
        return amount(value, "")
    return f"{_times(result.ratio(peer))} ({amount(value, result.row.unit)})"


def _times(ratio: float | None) -> str:
    """How many times as long.

    >>> _times(24.13), _times(1.234), _times(2345.6)
    ('24x', '1.2x', '2,346x')
    """
    return "" if ratio is None else f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def amount(value: float, unit: str) -> str:
    """A number with two or three digits, and its unit.

    >>> amount(0.4321, "s"), amount(7.89, "µs"), amount(2345.6, "µs"), amount(3, "")
    ('0.43 s', '7.9 µs', '2,346 µs', '3')
    """
    digits = 0 if value >= 100 or not unit else 1 if value >= 1 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def _notes(results: Sequence[Result]) -> str:
    lines = []
    for result in results:
        for tool in result.row.tools:
            note = result.note(tool)
            error = result.failed.get(tool, "")
            if error and error != "not installed":
                note = f"failed: {error}"
            if note:
                lines.append(f"- {result.row.title}; {LABELS.get(tool, tool)}: {note}.\n")
    return "\nNotes\n\n" + "".join(lines) if lines else ""


def _memory(results: Sequence[Result]) -> str:
    header = ["", *(LABELS[tool] for tool in (OURS, *PEERS))]
    rows = [
        [result.row.title, *(_resources(result, tool) for tool in (OURS, *PEERS))]
        for result in results
        if result.median(OURS, "peak_mb") is not None and result.row.measures_memory
    ]
    return _markdown(header, rows)


def _resources(result: Result, tool: str) -> str:
    memory, n_files = result.median(tool, "peak_mb"), result.n_files.get(tool, 0)
    if memory is None:
        return "–"
    return f"{memory:,.0f} MB" + (f", {n_files:,} files" if n_files else "")
