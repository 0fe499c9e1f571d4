"""A grid as a table: axes, cells, and every way of writing them."""

from __future__ import annotations

import csv
import io
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy
import pandas
import pytest

from gridrun.errors import MissingKey, UsageError
from gridrun.grid import Grid, split
from gridrun.table import Computed, Deviation, Table

LEVELS = [0.0, 0.1, 0.3]
METHOD = Deviation({"beta": 0.0, "dropout": 0.0})
LABELS = {"cnn": "F-MNIST", "beta = 0.25": "Beta", "level": "Mismatch", "acc": "Accuracy"}


def accuracy(point: dict) -> float:
    """Falls with the level, rises with beta; the two seeds stand 2 apart."""
    return 90 - 40 * point["level"] + 10 * point["beta"] * (point["level"] > 0) + 2 * point["seed"]


def measured() -> Grid:
    """2 networks x 2 methods x 3 levels x 2 seeds; dropout for one network only."""
    methods = [{"beta": 0.0, "dropout": 0.0}, {"beta": 0.25, "dropout": 0.0}]
    grid = [{"net": net, **method} for net in ("lsnn", "cnn") for method in methods]
    grid = split([*grid, {"net": "lsnn", "beta": 0.0, "dropout": 0.3}], "level", LEVELS)
    return [{**point, "acc": accuracy(point)} for point in split(grid, "seed", [0, 1])]


def test_a_place_holds_the_mean_and_spread_of_its_points() -> None:
    table = Table(measured(), ["net", METHOD, "level"], "acc")
    frame = table.frame()
    at = frame[(frame.net == "cnn") & (frame.Method == "beta = 0.25") & (frame.level == 0.3)].iloc[0]
    by_hand = [90 - 12 + 2.5, 90 - 12 + 2.5 + 2]
    assert at["acc"] == pytest.approx(statistics.mean(by_hand))
    assert at["acc std"] == pytest.approx(statistics.stdev(by_hand)) == pytest.approx(2**0.5)
    assert at["acc n"] == 2
    by_pandas = pandas.DataFrame(measured()).groupby(["net", "beta", "dropout", "level"])["acc"].mean()
    assert sorted(frame["acc"]) == pytest.approx(sorted(by_pandas))


def test_axes_are_sorted_the_standard_first_and_order_goes_before_both() -> None:
    table = Table(measured(), ["net", METHOD, "level"], "acc")
    assert [axis.values for axis in table.axes] == [
        ("cnn", "lsnn"),
        ("Standard", "beta = 0.25", "dropout = 0.3"),
        (0.0, 0.1, 0.3),
    ]
    order = {"net": ["lsnn"], "Method": ["dropout = 0.3", "Beta", "not trained yet"], "level": [0.3, 0]}
    table = Table(measured(), ["net", METHOD, "level"], "acc", LABELS, order)
    assert [axis.values for axis in table.axes] == [
        ("lsnn", "cnn"),
        ("dropout = 0.3", "Beta", "Standard"),
        (0.3, 0.0, 0.1),
    ]


def test_every_axis_can_be_ordered_by_its_label_too() -> None:
    order = {"Mismatch": [0.1], "net": ["F-MNIST"]}
    table = Table(measured(), ["net", "level"], "acc", LABELS, order)
    assert (table.axes[0].labels, table.axes[1].values) == (("F-MNIST", "lsnn"), (0.1, 0.0, 0.3))


def test_a_label_that_stands_for_several_values_orders_them_all() -> None:
    labels = {"b = 1": "Other", "a = 1, Other": "Ours", "a = 2, Other": "Ours"}
    grid = [{"a": a, "b": b, "x": a} for a in (0, 1, 2) for b in (0, 1)]
    table = Table(grid, [Deviation({"a": 0, "b": 0})], "x", labels, {"Method": ["Other", "Ours"]})
    assert table.axes[0].labels == ("Other", "Ours", "Ours", "Standard", "a = 1", "a = 2")
    found = [table.cell(place, "x").mean for place in table.places()]
    assert found == [0, 1, 2, 0, 1, 2]  # equal labels do not mix


@pytest.mark.parametrize(
    ("point", "method"),
    [
        ({"awp": False, "beta": 0}, "Standard"),  # 0 is 0.0
        ({"awp": numpy.bool_(False), "beta": numpy.float32(0)}, "Standard"),
        ({"awp": True, "beta": 0.25}, "AWP, $\\beta$ = 0.25"),
        ({"awp": False, "beta": "{b}", "b": 0.5}, "$\\beta$ = 0.5"),  # templates are resolved
        ({"awp": True}, "AWP"),  # a key that only other points have
    ],
)
def test_the_method_is_what_deviates(point: dict, method: str) -> None:
    deviation = Deviation({"awp": False, "beta": 0.0})
    assert deviation.method(point, {"awp = True": "AWP", "beta": r"$\beta$"}) == method


def test_numbers_meet_on_an_axis_and_other_types_do_not() -> None:
    values = [0, 0.0, numpy.int64(0), False, "0", None, [1, 2], (1, 2), 2]
    table = Table([{"v": value, "x": 1.0} for value in values], "v", "x")
    assert table.axes[0].values == (None, 0, False, 2, "0", [1, 2])
    assert [table.cell(place, "x").numbers for place in table.places()][1] == (1.0, 1.0, 1.0)


def test_the_grid_and_the_labels_stay_as_they_were() -> None:
    grid, labels = measured(), dict(LABELS)
    before = [dict(point) for point in grid]
    Table(grid, ["net", METHOD, "level"], "acc", labels).latex(bold=max)
    assert (grid, labels) == (before, LABELS)


# ------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("independent", "dependent", "order", "error", "way_out"),
    [
        (["nett"], "acc", {}, MissingKey, "did you mean 'net'?"),
        (["net"], "ac", {}, MissingKey, "did you mean 'acc'?"),
        ([Deviation({"betas": 0.0})], "acc", {}, MissingKey, "did you mean 'beta'?"),
        (["net", METHOD], "acc", {"method": ["Standard"]}, UsageError, "did you mean 'Method'?"),
    ],
)
def test_an_unknown_key_names_the_near_one(
    independent: list, dependent: str, order: dict, error: type[Exception], way_out: str
) -> None:
    with pytest.raises(error) as caught:
        Table(measured(), independent, dependent, order=order)
    assert way_out in str(caught.value)


def test_other_mistakes_are_named() -> None:
    table = Table(measured(), ["net", METHOD], ["acc", "seed"])
    with pytest.raises(UsageError, match=r"each dependent key \(acc, seed\), but it has 1"):
        table.text(bold=[max])
    with pytest.raises(UsageError, match="'max', 'min', a function or None, not 'best'"):
        table.text(bold="best")
    with pytest.raises(UsageError, match="no axis 'Metod' in this table; did you mean 'Method'"):
        table.latex(compare="Metod")
    with pytest.raises(UsageError, match="two columns of the table are called 'same'"):
        Table(measured(), ["net", "level"], "acc", {"net": "same", "level": "same"}).frame()


def test_an_empty_grid_is_an_empty_table() -> None:
    table = Table([], ["net", METHOD], "acc")
    assert table.text() == "net  Method  acc\n---  ------  ---"
    assert (table.shape, len(table.frame())) == ((0, 0, 1), 0)
    assert table.latex().count(r"\toprule") == 1


# ------------------------------------------------------------------------------------------ the best
def test_bold_compares_methods_and_ties_as_they_are_written() -> None:
    found = [(0, 0.912, 3.0), (1, 0.9149, 2.0), (2, 0.5, float("nan"))]
    grid = [{"m": m, "level": 0, "acc": acc, "loss": loss} for m, acc, loss in found]
    table = Table(grid, [Deviation({"m": 0}), "level"], ["acc", "loss"])
    lines = table.text(bold=["max", min]).splitlines()[2:]
    assert lines == [
        "Standard  0      0.91*  3.00",
        "m = 1     0      0.91*  2.00*",
        "m = 2     0      0.50   nan",
    ]
    assert "0.915*" in table.text(bold=["max", None], decimals=3)
    assert table.text(bold=["max", None], decimals=3).count("*") == 1


def test_only_what_differs_in_the_method_alone_competes() -> None:
    text = Table(measured(), ["net", METHOD, "level"], "acc", LABELS).text(bold="max", spread=False)
    starred = Counter(tuple(line.split()[:1]) for line in text.splitlines() if line.endswith("*"))
    assert starred == {("F-MNIST",): 4, ("lsnn",): 5}  # all of a tie at level 0, one at each other level


# ------------------------------------------------------------------------------------------ formats
def test_csv_and_frame_say_the_same_in_full() -> None:
    table = Table(measured(), ["net", METHOD, "level"], "acc", LABELS)
    read = pandas.read_csv(io.StringIO(table.csv()))
    pandas.testing.assert_frame_equal(read, table.frame())
    tricky = Table([{"a": 'x, "y"\nz', "b": 1 / 3}], "a", "b").csv()
    assert list(csv.reader(io.StringIO(tricky)))[1] == ['x, "y"\nz', repr(1 / 3)]


def test_saved_files_hold_what_the_methods_give(tmp_path: Path) -> None:
    table = Table(measured(), ["net", METHOD, "level"], "acc", LABELS)
    paths = table.save(tmp_path / "new" / "table.v1", decimals=1, bold="max")
    style = {"decimals": 1, "bold": "max"}
    assert [path.name for path in paths] == ["table.v1.csv", "table.v1.md", "table.v1.tex"]
    assert [path.read_text() for path in paths] == [table.csv(), table.markdown(**style), table.latex(**style)]


def test_samples_take_lists_and_arrays_apart() -> None:
    square = numpy.array([[1.0, 2], [3, 4]])
    grid = [{"level": level, "acc": square + level, "t": [5, 6, 7, 8]} for level in (0, 1)]
    frame = Table(grid, "level", ["acc", "t"]).samples()
    assert list(frame.level) == [0] * 4 + [1] * 4
    assert list(frame.acc) == [1, 2, 3, 4, 2, 3, 4, 5]
    assert list(frame.t) == [5, 6, 7, 8] * 2
    with pytest.raises(UsageError, match=r"\{'acc': 4, 't': 2\} numbers"):
        Table([{**grid[0], "t": [1, 2]}], "level", ["acc", "t"]).samples()


def test_the_wide_text_has_a_block_for_each_network() -> None:
    table = Table(measured(), ["net", METHOD, "level"], ["acc", "seed"], LABELS)
    assert table.text(wide=True, spread=False, decimals=1, bold=["max", None]).split("\n\n")[0] == (
        "F-MNIST\n"
        "          Standard        Beta\n"
        "Mismatch  Accuracy  seed  Accuracy  seed\n"
        "--------  --------  ----  --------  ----\n"
        "0.0       91.0*     0.5   91.0*     0.5\n"
        "0.1       87.0      0.5   89.5*     0.5\n"
        "0.3       79.0      0.5   81.5*     0.5"
    )


def cells(row: str) -> int:
    """How many columns a row of LaTeX fills, spans counted."""
    spans = [int(part.split("}")[0]) for part in row.split(r"\multicolumn{")[1:]]
    return row.replace(r"\&", "").count("&") + 1 + sum(span - 1 for span in spans)


@pytest.mark.parametrize("dependent", ["acc", ["acc", "seed"]])
@pytest.mark.parametrize("wide", [True, False])
def test_every_row_of_latex_fills_the_same_columns(wide: bool, dependent: str | list[str]) -> None:
    lines = Table(measured(), ["net", METHOD, "level"], dependent, LABELS).latex(wide=wide).splitlines()
    columns = len(lines[0].removeprefix(r"\begin{tabular}{").rstrip("}"))
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) > 6
    assert {cells(row) for row in rows} == {columns}
    ends = [int(rule.split("-")[1].split("}")[0]) for line in lines for rule in line.split("cmidrule")[1:]]
    assert all(end <= columns for end in ends)
    assert bool(ends) == (wide and dependent != "acc")


def test_latex_of_the_paper_layout() -> None:
    grid = [{"net": "f_mnist", "m": m, "acc": (m - 2) / 4, "std": 0.5} for m in (0, 1)]
    sources = ["net", Deviation({"m": 0}), Computed("level", lambda _: 0.1)]
    table = Table(grid, sources, ["acc", "std"], {"m = 1": r"$\beta_1$ & 50%"})
    assert table.latex(bold=[max, None], fit=True) == "\n".join(
        [
            r"\resizebox{\columnwidth}{!}{%",
            r"\begin{tabular}{lcrrcrr}",
            r"\toprule",
            r"\multicolumn{7}{l}{\bfseries f\_mnist} \\",
            r"\midrule",
            r"&& \multicolumn{2}{l}{Standard} && \multicolumn{2}{l}{$\beta_1$ \& 50\%} \\",
            r"\cmidrule(r){3-4} \cmidrule(r){6-7}",
            r"level &  & acc & std &  & acc & std \\",
            r"0.1 &  & $-$0.50 & 0.50 &  & \textbf{$-$0.25} & 0.50 \\",
            r"\bottomrule",
            r"\end{tabular}%",
            "}",
        ]
    )


def test_markdown_keeps_its_columns_whatever_stands_in_the_cells() -> None:
    grid = [{"path": "a|b", "note": "*x*\ny", "acc": 0.5}, {"path": r"c\d", "note": None, "acc": 0.25}]
    lines = Table(grid, ["path", "note"], "acc").markdown(bold="max").splitlines()
    assert lines == [
        "| path | note | acc |",
        "| --- | --- | ---: |",
        r"| a\|b | \*x\* y | 0.50 |",
        r"| c\\d |  | 0.25 |",
    ]
    assert Table(grid, ["path"], "acc").markdown(bold="max").splitlines()[2] == r"| a\|b | **0.50** |"


def test_text_values_are_shown_once() -> None:
    found = [(0, "kl", True), (0, "kl", True), (1, "l2", None)]
    table = Table([{"m": m, "loss": loss, "ok": ok} for m, loss, ok in found], "m", ["loss", "ok"])
    assert table.text().splitlines()[2:] == ["0  kl    True", "1  l2"]


# ------------------------------------------------------------------------------------------ showing
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_show_draws_on_a_terminal_and_is_plain_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    table = Table(measured(), ["net", METHOD, "level"], "acc", LABELS)
    plain, drawn = io.StringIO(), Terminal()
    table.show(plain, bold="max")
    table.show(drawn, bold="max")
    assert plain.getvalue() == table.text(bold="max") + "\n"
    assert "\x1b[1" in drawn.getvalue() and "*" not in drawn.getvalue()
    for word in ("F-MNIST", "Standard", "Mismatch", "91.00 ± 1.41"):
        assert word in drawn.getvalue() and word in plain.getvalue()


def test_pandas_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys; from gridrun.table import Table; t = Table([{'a': 1, 'b': .5}], 'a', 'b');"
        "print(t); t.latex(); t.markdown(); t.csv(); print({'pandas', 'numpy', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a  b\n-  ----\n1  0.50\nset()\n"
