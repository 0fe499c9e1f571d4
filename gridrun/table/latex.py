r"""Tables in LaTeX: a tabular with the rules of booktabs, as papers print them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .axes import Label
from .layout import Entry, Sheet

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{char: "\\" + char for char in "&%$#_{}"},
}
MATHEMATICS = re.compile(r"(\$[^$]+\$)")


def write(blocks: Sequence[Sheet], fit: bool = False) -> str:
    r"""One tabular for all blocks; a block with fewer columns than another is filled up.

    fit: inside \resizebox{\columnwidth}.
    """
    n_columns = max((_n_columns(block) for block in blocks), default=1)
    lines = [r"\begin{tabular}{" + _specification(blocks, n_columns) + "}", r"\toprule"]
    for number, block in enumerate(blocks):
        lines += [r"\midrule"] if number else []
        lines += _write_block(block, n_columns)
    lines += [r"\bottomrule", r"\end{tabular}"]
    if fit:
        lines = [r"\resizebox{\columnwidth}{!}{%", *lines[:-1], lines[-1] + "%", "}"]
    return "\n".join(lines)


def _n_columns(block: Sheet) -> int:
    """Every column, and a narrow empty one before each group to keep the groups apart."""
    return len(block.header) + len(block.groups)


def _specification(blocks: Sequence[Sheet], n_columns: int) -> str:
    if not blocks:
        return "l"
    block = max(blocks, key=_n_columns)
    group = "c" + "r" * block.group_size if block.groups else "r" * block.group_size
    return "l" * block.n_labels + group * max(len(block.groups), 1)


def _write_block(block: Sheet, n_columns: int) -> list[str]:
    lines = []
    if block.title:
        title = ", ".join(map(escape, block.title))
        lines += [rf"\multicolumn{{{n_columns}}}{{l}}{{\bfseries {title}}} \\", r"\midrule"]
    lines += _group_lines(block, n_columns)
    lines.append(_row(block, [escape(head) for head in block.header], n_columns))
    lines += [r"\midrule"] if not block.groups else []
    return lines + [_row(block, [_cell(entry) for entry in row], n_columns) for row in block.rows]


def _group_lines(block: Sheet, n_columns: int) -> list[str]:
    if not block.groups:
        return []
    size, first = block.group_size, block.n_labels + 2
    heads = "".join(rf"&& \multicolumn{{{size}}}{{l}}{{{escape(group)}}} " for group in block.groups)
    starts = [first + number * (size + 1) for number in range(len(block.groups))]
    rules = " ".join(rf"\cmidrule(r){{{start}-{start + size - 1}}}" for start in starts)
    return [heads + "& " * (n_columns - _n_columns(block)) + r"\\", rules]


def _row(block: Sheet, words: Sequence[str], n_columns: int) -> str:
    parts = list(words[: block.n_labels])
    for index, word in enumerate(words[block.n_labels :]):
        parts += ["", word] if block.groups and index % block.group_size == 0 else [word]
    return " & ".join(parts + [""] * (n_columns - len(parts))) + r" \\"


def _cell(entry: Entry) -> str:
    text = _number(entry.text) if entry.is_number else escape(entry.text)
    return rf"\textbf{{{text}}}" if entry.is_best else text


def _number(text: str) -> str:
    return text.replace("-", "$-$").replace("±", r"$\pm$").replace("inf", r"$\infty$")


def escape(text: str) -> str:
    r"""Text that LaTeX sets as it is; in a label of the user's own, `$...$` stays mathematics.

    >>> print(escape("50% of a_b & $x"))
    50\% of a\_b \& \$x
    >>> print(escape(Label(r"$\beta$ = 0.25_a")), escape(r"$\beta$"))
    $\beta$ = 0.25\_a \$\textbackslash{}beta\$
    """
    parts = MATHEMATICS.split(text) if isinstance(text, Label) else [text]
    return "".join(part if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(text: str) -> str:
    return "".join(SPECIAL.get(char, " " if char in "\r\n\t" else char) for char in text)
