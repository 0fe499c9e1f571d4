# ruff: noqa
from architectures import lsnn
from datajuicer import run, split, configure, query, run, reduce_keys, make_unique
from datajuicer.visualizers import *
from experiment_utils import *
import numpy as np


class mismatch_experiment:
    @staticmethod
    def train_grid():
        grid = [lsnn.make()]
        grid0 = configure(grid, dictionary={"beta_robustness": 0.0})
        grid1 = configure(grid, {"beta_robustness": 0.25})
        grid2 = []  # configure(grid, {"beta_robustness": 0.0, "dropout_prob": 0.3})
        grid3 = configure(grid, {"beta_robustness": 0.0, "awp": True})
        return split(grid0 + grid1 + grid2 + grid3, "seed", np.arange(2))

    @staticmethod
    def visualize():
        grid = [model for model in mismatch_experiment.train_grid() if model["seed"] in [0, 1]]
        grid = run(grid, "train", run_mode="load", store_key="*")("{*}")

        grid_mm = split(grid, "mm_level", [0.0, 0.1, 0.3], where={"architecture": "lsnn"})
        grid_mm = configure(grid_mm, {"n_iterations": 4})
        grid_mm = configure(grid_mm, {"n_iterations": 1}, where={"mm_level": 0})
        grid_mm = configure(grid_mm, {"mode": "direct"})
        grid_mm = run(grid_mm, get_mismatch_list, n_threads=2, store_key="mismatch_list")(
            "{n_iterations}", "{*}", "{mm_level}", "{data_dir}"
        )

        label_dict = {
            "beta_robustness": "Beta",
            "mismatch_list_mean": "Mean Acc.",
            "mismatch_list_std": "Std.",
            "mismatch_list_min": "Min.",
            "mm_level": "Mismatch",
            "lsnn": "Speech LSNN",
            "awp": "AWP",
            "AWP = True": "AWP",
            "Beta = 0.25": "Beta",
        }
        before = dict(label_dict)
        method = Table.Deviation_Var({"beta_robustness": 0.0, "awp": False, "dropout_prob": 0.0}, label="Method")

        @visualizer(dim=4)
        def violin(table, axes):
            shape = table.shape()
            for i0 in range(shape[0]):
                for i1 in range(shape[1]):
                    for i2 in range(shape[2]):
                        lists = table.get_val(i0, i1, i2, 0)
                        if lists is None:
                            continue
                        place = tuple(table.get_label(axis, i) for axis, i in enumerate((i0, i1, i2)))
                        axes[place] = sum(lists, [])
            return [table.get_label(axis=axis) for axis in range(4)]

        axes = {}
        order = {"Method": ["Standard", "Beta", "Forward + Beta"], "mm_level": [0.3, 0.1]}
        heads = violin(
            grid_mm,
            independent_keys=["architecture", method, "mm_level"],
            dependent_keys=["mismatch_list"],
            label_dict=label_dict,
            axes=axes,
            order=order,
        )

        group_by = ["architecture", "awp", "beta_robustness", "dropout_prob", "mm_level"]
        for g in grid_mm:
            g["mismatch_list"] = list(100 * np.array(g["mismatch_list"]))
        reduced = reduce_keys(
            grid_mm,
            "mismatch_list",
            reduction={
                "mean": lambda l: float(np.mean(sum(l, []))),
                "std": lambda l: float(np.std(sum(l, []))),
                "min": lambda l: float(np.min(sum(l, []))),
            },
            group_by=group_by,
        )
        keys = ["architecture", method, "mm_level"]
        dependent = ["mismatch_list_mean", "mismatch_list_std", "mismatch_list_min"]
        text = latex(reduced, keys, dependent, label_dict, order, bold_order=[max, min, max])
        assert label_dict == before
        return grid, grid_mm, axes, heads, reduced, text, len(make_unique(grid_mm + grid_mm))
