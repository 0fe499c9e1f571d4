"""The old names, one by one, where their shapes differ from the engine's."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy
import pytest

from gridrun import datajuicer as dj
from gridrun.datajuicer.styles import METHOD_COLORS, METHOD_LINESTYLE, METHOD_LINEWIDTH
from gridrun.datajuicer.table import Table
from gridrun.datajuicer.visualizers import latex, split_violins, visualizer
from gridrun.errors import MissingKey, UsageError

GRID = [{"m": m, "lr": lr, "acc": acc} for m, lr, acc in [("x", 0.1, 1), ("x", 0.2, 2), ("y", 0.1, 5)]]
OLD_NAMES = {
    "": "run dj djm get split configure query cachable format_template make_unique reduce_keys",
    ".utils": "run get split configure query cachable format_template make_unique reduce_keys",
    ".table": "Table",
    ".visualizers": "Table latex visualizer METHOD_COLORS METHOD_LINESTYLE METHOD_LINEWIDTH run split query",
}


@pytest.mark.parametrize("module", OLD_NAMES)
def test_the_old_names_are_there_under_star_too(module: str) -> None:
    names: dict = {}
    exec(f"from gridrun.datajuicer{module} import *", names)
    room = importlib.import_module(f"gridrun.datajuicer{module}")
    for name in OLD_NAMES[module].split():
        assert names[name] is getattr(room, name)


# ------------------------------------------------------------------------------------------ query
@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"select": "acc"}, [1, 2, 5]),
        ({"select": "acc", "where": {"m": "x"}}, [1, 2]),
        ({"select": "acc", "where": {"m": "z"}}, []),
        ({"select": ["acc"]}, {"acc": [1, 2, 5]}),
        ({"select": "*"}, {"m": ["x", "x", "y"], "lr": [0.1, 0.2, 0.1], "acc": [1, 2, 5]}),
        ({"select": "acc", "reduction": max}, 5),
        ({"select": "acc", "reduction": {"min": min, "max": max}}, {"min": 1, "max": 5}),
        ({"select": "acc", "reduction": {"min": min}, "flatten_reductions": True}, {"acc_min": 1}),
        ({"select": "acc", "group_by": "m"}, ([{"m": "x"}, {"m": "y"}], [[1, 2], [5]])),
        (
            {"select": ["acc"], "group_by": ["m"], "reduction": sum},
            ([{"m": "x"}, {"m": "y"}], [{"acc": 3}, {"acc": 5}]),
        ),
        ({"select": "acc", "group_by": "m", "reduction": {"n": len}}, ([{"m": "x"}, {"m": "y"}], [{"n": 2}, {"n": 1}])),
    ],
)
def test_query_has_the_old_shapes(options: dict, answer: object) -> None:
    assert dj.query(GRID, **options) == answer


def test_query_can_give_a_function_of_the_group() -> None:
    find = dj.query(GRID, ["acc"], group_by=["m", "lr"], return_func=True)
    assert find({"m": "y", "lr": 0.1}) == {"acc": [5]}


# ------------------------------------------------------------------------------------------ reduce_keys
def test_reduce_keys_keeps_the_group_and_the_reduced() -> None:
    assert dj.reduce_keys(GRID, "acc", max, group_by=["m"]) == [{"m": "x", "acc": 2}, {"m": "y", "acc": 5}]
    assert dj.reduce_keys(GRID, ["acc", "lr"], {"n": len}, {"m": "x"}, "m") == [{"m": "x", "acc_n": 2, "lr_n": 2}]


def test_reduce_keys_groups_by_all_other_shared_keys() -> None:
    grid = [{**point, "seed": seed} for point in GRID for seed in (0, 1)]
    grid[0]["extra"] = 1
    reduced = dj.reduce_keys(grid, ["acc", "seed"], reduction=sum)
    assert reduced == [{**point, "acc": 2 * point["acc"], "seed": 1} for point in GRID]


# ------------------------------------------------------------------------------------------ get
def test_get_takes_templates_calls_and_defaults() -> None:
    point = {"mode": "direct", "where": lambda mode: f"at {mode}", "dir": "{where({mode})}", "k": "dir", "t": "{no}"}
    assert dj.get(point, "dir") == dj.get(point, "{k}") == dj.get(point, "where(direct)") == "at direct"
    assert dj.get(point, "*") is point
    assert dj.get(point, "nothing", "{mode}!") == "direct!"
    for key in ("nothing", "t"):
        with pytest.raises(MissingKey):
            dj.get(point, key)
    with pytest.raises(MissingKey):
        dj.get(point, "t", "the key is there, what it needs is not")


# ------------------------------------------------------------------------------------------ run
def test_run_has_cache_mode_between_mode_and_folder(tmp_path: Path) -> None:
    double = dj.cachable()(lambda x: 2 * x)
    assert dj.run(GRID, double, 1, "normal", "normal", str(tmp_path / "s"), "d")("{acc}")[2]["d"] == 10
    assert (tmp_path / "s").is_dir()
    with pytest.raises(UsageError, match="cache_mode='no_save'"):
        dj.run(GRID, double, cache_mode="no_save")


def test_a_checker_that_always_says_yes_says_it_of_files_that_are_there(tmp_path: Path) -> None:
    def train(model):
        (tmp_path / f"{model['session_id']}.txt").write_text(str(model["seed"]))

    def loader(session_id, table, cache_dir):
        return {"net": (tmp_path / f"{session_id}.txt").read_text()}

    own_files = {"saver": None, "loader": loader, "checker": lambda *whatever: True}
    train = dj.cachable(dependencies=["model:seed"], table_name="net", **own_files)(train)
    grid = [{"seed": 0}, {"seed": 1}]
    assert [point["net"] for point in dj.run(grid, train, store_key="*")("{*}")] == ["0", "1"]
    assert len(list(tmp_path.glob("*.txt"))) == 2
    assert [point["net"] for point in dj.run(grid, train, run_mode="load", store_key="*")("{*}")] == ["0", "1"]


def test_the_first_names_of_run() -> None:
    assert dj.dj(GRID, lambda x: -x)("{acc}") == [-1, -2, -5]
    assert dj.djm(GRID, lambda x: {"neg": -x})("{acc}")[0] == {**GRID[0], "neg": -1}
    assert dj.djm(GRID, lambda x: -x, store_key="neg")("{acc}")[0] == {**GRID[0], "neg": -1}


# ------------------------------------------------------------------------------------------ Table
def test_a_table_is_filled_or_joined_to_its_dimensions() -> None:
    assert Table(GRID, ["m"], ["acc"], dim=4).shape() == [1, 1, 2, 1]
    joined = Table(GRID, ["m", "lr"], ["acc"], {"lr": "Rate"}, dim=2)
    assert joined.shape() == [3, 1]
    assert [joined.get_label(0, i) for i in range(3)] == ["m = x, Rate = 0.1", "m = x, Rate = 0.2", "m = y, Rate = 0.1"]
    assert [joined.get_val(i, 0) for i in range(3)] == [[1], [2], [5]]


def test_values_are_lists_and_empty_places_none() -> None:
    table = Table(GRID, ["m", "lr"], ["acc", "lr"])
    assert (table.get_val(0, 0, 0), table.get_val(1, 1, 0), table.get_val(0, 1, 1)) == ([1], None, [0.2])
    assert Table(GRID, ["m"], ["acc"]).get_val(0, 0) == [1, 2]
    assert [table.get_label(2, 0), table.get_label(2), table.get_label(1)] == ["acc", "", "lr"]


@pytest.mark.parametrize(
    "order",
    [
        {"m": ["y"], "lr": [0.2], "of another table": ["z"]},
        {"M": ["Why"], "lr": [0.2]},
        [[1, 0], [1], None],
        [[1], [1, 0], None],
    ],
)
def test_order_applies_to_every_axis(order: object) -> None:
    table = Table(GRID, ["m", "lr"], ["acc"], {"m": "M", "y": "Why"}, order=order)
    labels = [[table.get_label(axis, i) for i in range(2)] for axis in (0, 1)]
    assert labels == [["Why", "x"], ["0.2", "0.1"]]
    assert table.get_val(0, 1, 0) == [5]


def test_the_dependent_axis_can_be_turned_around() -> None:
    table = Table(GRID, ["m"], ["acc", "lr"], order=[None, [1, 0]])
    assert [table.get_label(1, i) for i in (0, 1)] == ["lr", "acc"]
    assert table.get_val(1, 0) == [0.1]


def test_label_dict_is_not_changed() -> None:
    labels = {"m = y": "Why"}
    latex(GRID, [Table.Deviation_Var({"m": "x"}, label="Method"), "lr"], ["acc"], labels, bold_order=[max])
    assert labels == {"m = y": "Why"}


def test_methods_are_sorted_by_name_as_index_lists_expect() -> None:
    grid = [{"a": a, "b": 0} for a in (0, 1)]
    table = Table(grid, [Table.Deviation_Var({"a": 0}, "Method")], ["b"], {"a = 1": "AWP"})
    assert [table.get_label(0, i) for i in (0, 1)] == ["AWP", "Standard"]


def test_latex_sets_the_best_of_each_row_in_bold() -> None:
    text = latex(GRID, ["m", "lr"], ["acc"], bold_order=[min])
    rows = [line for line in text.splitlines() if line[:2] == "0."]
    assert rows == [r"0.1 & \textbf{1} & 5 \\", r"0.2 & 2 &  \\"]
    assert r"\textbf" not in latex(GRID, ["m", "lr"], ["acc"])
    assert text.startswith(r"\resizebox{\columnwidth}")


def test_latex_of_one_axis_has_no_empty_heads() -> None:
    lines = latex(GRID, ["m"], ["acc", "lr"], {"acc": "Accuracy"}).splitlines()
    assert lines[3:7] == [
        r"m & Accuracy & lr \\",
        r"\midrule",
        r"x & 1.50 $\pm$ 0.71 & 0.15 $\pm$ 0.07 \\",
        r"y & 5 & 0.10 \\",
    ]
    assert r"m & acc \\" in latex(GRID, ["m"], ["acc"]).splitlines()


def test_a_visualizer_passes_its_own_options_on() -> None:
    @visualizer(dim=3)
    def draw(table, ax, twice=1):
        return ax, twice, table.shape()

    assert draw(GRID, ["m"], ["acc"], {}, None, ax="here", twice=2) == ("here", 2, [1, 2, 1])
    with pytest.raises(MissingKey, match="did you mean 'acc'"):
        draw(GRID, ["m"], ["accu"], ax=None)


# ------------------------------------------------------------------------------------------ styles
def test_methods_have_one_style_by_whatever_name() -> None:
    same = ["Forward + Beta", "Beta + Forward", "Forward Noise + Beta 0.25", "Beta 0.1, Forward Noise"]
    assert len({METHOD_COLORS[name] for name in same}) == 1
    assert len({METHOD_COLORS[name] for name in ("Standard", "AWP", "ABCD", "ESGD", "Dropout", "Beta", same[0])}) == 7
    assert METHOD_COLORS["Something new"] == METHOD_COLORS["Something new"] != METHOD_COLORS["Standard"]
    assert METHOD_LINEWIDTH["Beta 0.5"] > METHOD_LINEWIDTH["Dropout"]
    assert METHOD_LINESTYLE["Beta"] == "dashed"


# ------------------------------------------------------------------------------------------ violins
def noisy_grid() -> list[dict]:
    """Two networks, three methods (one of them in one network only), two levels, 40 numbers in each of two seeds."""
    draw = numpy.random.default_rng(0).normal
    methods = [("cnn", 0.0, 0.0), ("cnn", 0.25, 0.0), ("lsnn", 0.0, 0.0), ("lsnn", 0.25, 0.0), ("lsnn", 0.0, 0.3)]
    return [
        {"net": net, "beta": beta, "dropout": p, "level": level, "seed": seed, "acc": list(draw(beta - level, 1, 40))}
        for net, beta, p in methods
        for level in (0.1, 0.7)
        for seed in (0, 1)
    ]


def test_split_violins_set_every_method_against_the_standard(tmp_path: Path) -> None:
    method = Table.Deviation_Var({"beta": 0.0, "dropout": 0.0})
    labels = {"beta = 0.25": "Beta", "level": "Mismatch", "acc": "Accuracy"}
    figure = split_violins(noisy_grid(), ["net", method, "level"], ["acc"], labels)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["cnn: Beta", "lsnn: Beta", "lsnn: dropout = 0.3"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Standard", "Beta", "dropout = 0.3"]
    figure.savefig(tmp_path / "violins.png")

    panel = figure.axes[0]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.1", "0.7"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("Mismatch", "Accuracy")
    left, right = panel.collections[:2]  # halves: the standard method ends where the other begins
    assert left.get_paths()[0].vertices[:, 0].max() == pytest.approx(right.get_paths()[0].vertices[:, 0].min())
    drawn = sorted(line.get_ydata()[0] for line in panel.lines)
    cnn = [point for point in noisy_grid() if point["net"] == "cnn"]
    halves = [[p for p in cnn if (p["beta"], p["level"]) == key] for key in {(p["beta"], p["level"]) for p in cnn}]
    quartiles = [numpy.percentile(sum((p["acc"] for p in half), []), [25, 50, 75]) for half in halves]
    assert drawn == pytest.approx(sorted(numpy.concatenate(quartiles)))


def test_split_violins_say_what_they_need() -> None:
    method = Table.Deviation_Var({"beta": 0.0}, "Method")
    robust = [point for point in noisy_grid() if point["beta"] > 0]
    with pytest.raises(UsageError, match="against 'Standard', but for cnn there are only beta = 0.25"):
        split_violins(robust, ["net", method, "level"], ["acc"])
    with pytest.raises(UsageError, match="one dependent key, not acc, seed"):
        split_violins(noisy_grid(), ["net", method, "level"], ["acc", "seed"])
