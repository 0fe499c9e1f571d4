# ruff: noqa
from architectures import lsnn
from datajuicer import run, split, configure, query
from datajuicer.table import Table
from datajuicer.visualizers import latex, visualizer, METHOD_COLORS, METHOD_LINESTYLE, METHOD_LINEWIDTH
from datajuicer.utils import reduce_keys
from experiment_utils import *
import numpy as onp


class worst_case_experiment:
    @staticmethod
    def train_grid():
        grid = configure(lsnn.make(), {"beta_robustness": 0.0})
        grid += configure(lsnn.make(), {"beta_robustness": 0.5})
        return split(grid, "seed", [0, 1])

    @staticmethod
    def visualize():
        grid = run(worst_case_experiment.train_grid(), "train", n_threads=2, run_mode="load", store_key="*")("{*}")
        grid = split(grid, "attack_size", (0.0, 0.1, 0.2))
        grid = run(grid, get_worst_case, store_key="found")("{*}", "{attack_size}")
        for g in grid:
            acc, loss = g["found"]
            g["acc"] = 100 * acc
            g["loss"] = loss
        label_dict = {"Beta = 0.5": "Beta", "beta_robustness": "Beta", "attack_size": "Attack size"}

        @visualizer(dim=2)
        def single(table):
            return table.shape(), [table.get_val(i, 0) for i in range(table.shape()[0])], table.get_label(0)

        @visualizer(dim=3)
        def lines(table, drawn):
            for i0 in range(table.shape()[0]):
                label = table.get_label(axis=0, index=i0)
                d = [onp.mean(table.get_val(i0, i1, 0)) for i1 in range(table.shape()[1])]
                drawn[label] = d, METHOD_COLORS[label], METHOD_LINESTYLE[label], METHOD_LINEWIDTH[label]

        deviation = Table.Deviation_Var(default={"beta_robustness": 0.0}, label="Method")
        drawn = {}
        lines(grid, [deviation, "attack_size"], ["acc"], label_dict=label_dict, drawn=drawn, order=[[1, 0], None, None])
        one = single(grid, independent_keys=["attack_size"], dependent_keys=["loss"], label_dict=label_dict)

        reduced = reduce_keys(grid, "acc", reduction=lambda l: float(onp.max(l)), group_by=["beta_robustness", "attack_size"])
        order = [None, None, [2, 0, 1], None]
        text = latex(reduced, [deviation, "attack_size"], ["acc"], label_dict, order=order, decimals=1, bold_order=[max])

        where = {"beta_robustness": 0, "seed": 1, "attack_size": 0.1}
        losses = query(grid, "loss", where=where)
        return grid, drawn, one, reduced, text, losses
