"""Fault lists as CSV, in the published format (cad-polito-it/dnn-benchmarks), and their samplers by one import.

    Injection,Layer,TensorIndex,Bit
    0,conv1,"(3, 0, 2, 1)",15

and, with results, `n_injections,masked,non_critical,critical`. Layer is the module's path without ".weight".
Beyond the published columns: Kind and Mask, where a fault is no plain bit flip, and due, sdc5, correct where asked for.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .bits import KINDS
from .injection import layer_shapes as layer_shapes
from .sampling import by_layer_and_bits as by_layer_and_bits
from .sampling import exhaustive as exhaustive
from .sampling import per_bit as per_bit
from .sampling import per_layer as per_layer
from .sampling import published as published
from .sampling import sample_size as sample_size
from .sampling import stratified as stratified
from .verdicts import Counts
from .weight_fault import Shapes, WeightFault, problem

FAULT = ("Injection", "Layer", "TensorIndex", "Bit")
COUNTED = ("n_injections", "masked", "non_critical", "critical")
MORE_COUNTED = ("due", "sdc5", "correct")
SHOWN = 50  # bad rows in an error's message

INDEX = re.compile(r"\(\s*\d{1,9}(?:\s*,\s*\d{1,9})*\s*,?\s*\)", re.ASCII)
WHOLE = re.compile(r"\s*\d{1,15}\s*", re.ASCII)


class FaultList(NamedTuple):
    """What a CSV file holds. `counts` is None where it has no results; `numbers` is its column Injection; `lines` are
    those of the file, from 1, where each fault stands."""

    faults: list[WeightFault]
    counts: list[Counts] | None
    numbers: list[int]
    lines: Sequence[int] = ()


class BadRow(NamedTuple):
    """A row that cannot be used: its line in the file, counted from 1, and why."""

    line: int
    why: str


class BadFaultList(ValueError):
    """A fault list with bad rows; all of them are in `rows`."""

    def __init__(self, name: str, rows: Sequence[BadRow]) -> None:
        self.rows = list(rows)
        lines = [f"  line {row.line}: {row.why}" for row in rows[:SHOWN]]
        lines += [f"  and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
        super().__init__("\n".join([f"{name} has {len(rows)} bad row{'s' * (len(rows) > 1)}:", *lines]))


def read(path: str | Path, shapes: Shapes | None = None, n_bits: int = 32) -> FaultList:
    """The fault list in a file.

    shapes: of the network's layers (see layer_shapes); layers and indices are judged by them; n_bits: of a word.
    CRLF, a byte order mark, blank lines, a missing last newline and columns in another order are no matter. Rows that
    cannot be used make one BadFaultList that names every line; counts that do not add up to n_injections are a
    warning, and stay as they are.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFaultList(str(path), [BadRow(1, f"not a text file in UTF-8: {error}")]) from None
    return parse(text, shapes, str(path), n_bits)


def parse(text: str, shapes: Shapes | None = None, name: str = "the fault list", n_bits: int = 32) -> FaultList:
    """The fault list in a text; see `read`.

    >>> parse('Injection,Layer,TensorIndex,Bit\\n0,conv1,"(3, 0, 2, 1)",15').faults
    [WeightFault(layer='conv1', index=(3, 0, 2, 1), bit=15, kind='flip', mask=0)]
    """
    reader = _Reader(text, shapes, n_bits)
    if reader.bad:
        raise BadFaultList(name, reader.bad)
    if reader.uneven:
        lines = ", ".join(map(str, reader.uneven[:10])) + (", ..." if len(reader.uneven) > 10 else "")
        rows = f"{len(reader.uneven)} row{'s' * (len(reader.uneven) > 1)} (line {lines})"
        warnings.warn(f"{name}: n_injections is not masked + non_critical + critical in {rows}", stacklevel=3)
    return FaultList(reader.faults, reader.counts if reader.has_counts else None, reader.numbers, reader.lines)


def layers_in(path: str | Path) -> set[str]:
    """The names in the column Layer of a file, whatever else is wrong with it; none where there is no such column."""
    text = Path(path).read_bytes().decode("utf-8-sig", "replace")
    rows = (cells for _, cells in _rows(text))
    header = [cell.strip() for cell in next(rows, [])]
    if "Layer" not in header:
        return set()
    place = header.index("Layer")
    return {cells[place].strip() for cells in rows if len(cells) > place}


class _Reader:
    """One pass over the rows: what is good, and what is wrong with the others."""

    def __init__(self, text: str, shapes: Shapes | None, n_bits: int) -> None:
        self.shapes, self.n_bits = shapes, n_bits
        self.faults: list[WeightFault] = []
        self.counts: list[Counts] = []
        self.numbers: list[int] = []
        self.lines: list[int] = []
        self.bad: list[BadRow] = []
        self.uneven: list[int] = []
        self.seen: dict[tuple[str, object], int] = {}  # the line where a fault or a number first stood
        rows = _rows(text)
        line, header = next(rows, (1, []))
        self.header = [cell.strip() for cell in header]
        self.has_counts = any(column in self.header for column in COUNTED)
        if wrong := self._wrong_header():
            self.bad.append(BadRow(line, wrong))
            return
        for line, cells in rows:
            self._row(line, cells)

    def _wrong_header(self) -> str:
        wanted = [*FAULT, *(COUNTED if self.has_counts else ())]
        missing = [column for column in wanted if column not in self.header]
        if missing:
            return f"the header lacks {', '.join(missing)}: it is {','.join(self.header)[:200]!r}"
        twice = sorted({c for c in self.header if c and self.header.count(c) > 1})
        return f"the header has {', '.join(twice)} twice" if twice else ""

    def _row(self, line: int, cells: list[str]) -> None:
        """One row into faults, counts and numbers, or into the bad ones."""
        try:
            if len(cells) != len(self.header):
                shown = ",".join(cells)[:100]
                raise ValueError(f"{len(cells)} cells where the header has {len(self.header)}: {shown!r}")
            row = dict(zip(self.header, cells, strict=True))
            number, fault = _whole(row, "Injection"), _fault(row)
            counts = _counts(row) if self.has_counts else None
            if wrong := problem(fault, self.shapes, self.n_bits):
                raise ValueError(wrong)
            self._once("fault", fault, line)
            self._once("Injection", number, line)
        except ValueError as error:
            self.bad.append(BadRow(line, str(error)))
            return
        self.faults.append(fault)
        self.numbers.append(number)
        self.lines.append(line)
        if counts is not None:
            self.counts.append(counts)
            if counts.n_injections != counts.masked + counts.non_critical + counts.critical:
                self.uneven.append(line)

    def _once(self, what: str, value: WeightFault | int, line: int) -> None:
        first = self.seen.setdefault((what, value), line)
        if first != line:
            raise ValueError(f"{what} {value} again; it is on line {first} already")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line where it begins; a broken one, as a row of its own, ends it."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, [f"not CSV ({error})"]
            return
        if any(cell.strip() for cell in cells):
            yield line, cells


def _fault(row: dict[str, str]) -> WeightFault:
    """The fault of a row; ValueError says which cell cannot be read."""
    text, kind = row["TensorIndex"].strip(), (row.get("Kind") or "flip").strip()
    if not INDEX.fullmatch(text):
        raise ValueError(f"TensorIndex is {text[:60]!r}, not like '(3, 0, 2, 1)'")
    if kind not in KINDS:
        raise ValueError(f"no kind of fault {kind[:60]!r}; there are {', '.join(KINDS)}")
    mask = _whole(row, "Mask") if row.get("Mask", "").strip() else 0
    return WeightFault(row["Layer"].strip(), tuple(map(int, re.findall(r"\d+", text))), _whole(row, "Bit"), kind, mask)


def _counts(row: dict[str, str]) -> Counts:
    return Counts(*(_whole(row, c) for c in COUNTED), **{c: _whole(row, c) for c in MORE_COUNTED if c in row})


def _whole(row: dict[str, str], column: str) -> int:
    if not WHOLE.fullmatch(row[column]):
        raise ValueError(f"{column} is {row[column][:60]!r}, not a whole number")
    return int(row[column])


def to_text(
    faults: Iterable[WeightFault],
    counts: Iterable[Counts] | None = None,
    numbers: Iterable[int] | None = None,
    every_count: bool = False,
) -> str:
    """A fault list as CSV text, byte for byte as published: LF, a final newline, indices in quotes.

    counts: one for each fault, as the result; numbers: of the column Injection, by default 0, 1, 2, ...;
    every_count: the columns due, sdc5 and correct too.

    >>> print(to_text([WeightFault("conv1", (3, 0, 2, 1), 15)], [Counts(10000, 14, 9985, 1)]), end="")
    Injection,Layer,TensorIndex,Bit,n_injections,masked,non_critical,critical
    0,conv1,"(3, 0, 2, 1)",15,10000,14,9985,1
    """
    faults = list(faults)
    numbers = list(range(len(faults)) if numbers is None else numbers)
    found = None if counts is None else list(counts)
    if len(numbers) != len(faults) or (found is not None and len(found) != len(faults)):
        raise ValueError(f"{len(faults)} faults, but {len(numbers)} numbers or {len(found or [])} counts")
    marks = _marks(faults)
    counted = [] if found is None else [*COUNTED, *(MORE_COUNTED if every_count else ())]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*FAULT, *marks, *counted])
    for i, (number, fault) in enumerate(zip(numbers, faults, strict=True)):
        extra = [getattr(fault, mark.lower()) for mark in marks]
        results = [] if found is None else found[i][: len(counted)]
        writer.writerow([number, fault.layer, fault.index, fault.bit, *extra, *results])
    return out.getvalue()


def _marks(faults: Sequence[WeightFault]) -> list[str]:
    """The columns beyond the published ones that these faults need."""
    needed = {"Kind": any(f.kind != "flip" for f in faults), "Mask": any(f.mask for f in faults)}
    return [column for column, is_needed in needed.items() if is_needed]


def write(
    path: str | Path,
    faults: Iterable[WeightFault],
    counts: Iterable[Counts] | None = None,
    numbers: Iterable[int] | None = None,
    every_count: bool = False,
) -> None:
    """A fault list into a file; see `to_text`."""
    Path(path).write_bytes(to_text(faults, counts, numbers, every_count).encode())
