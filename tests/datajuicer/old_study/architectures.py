# ruff: noqa
import argparse
import json
import os
import random

from datajuicer import cachable, get, format_template

HERE = os.path.dirname(os.path.abspath(__file__))
LAUNCH = {"direct": "{python} {code_file} {args}", "silent": "true {args}"}


def make_train(architecture, environment):
    @cachable(
        dependencies=["model:" + key for key in architecture.default_hyperparameters()],
        saver=None,
        loader=architecture.loader,
        checker=architecture.checker,
        table_name=architecture.__name__,
    )
    def train(model):
        try:
            mode = get(model, "mode")
        except:
            mode = "direct"
        model["mode"] = mode

        def flag(key, value):
            if type(value) is bool:
                return f"-{key}" if value else ""
            return f"-{key}={value}"

        keys = list(architecture.default_hyperparameters()) + environment + ["session_id"]
        model["args"] = " ".join(flag(key, get(model, key)) for key in keys)
        os.system(format_template(model, LAUNCH[mode]))
        return None

    return train


class lsnn:
    @staticmethod
    def default_hyperparameters():
        return {"seed": 0, "beta_robustness": 1.0, "awp": False, "dropout_prob": 0.0, "n_epochs": "3,2"}

    @staticmethod
    def make():
        d = lsnn.default_hyperparameters()

        def mk_data_dir(mode="direct"):
            return {"direct": "data/here", "bsub": "$SCRATCH/there", "silent": "nowhere"}[mode]

        d["mk_data_dir"] = mk_data_dir
        d["data_dir"] = "{mk_data_dir({mode})}"
        d["code_file"] = os.path.join(HERE, "main_lsnn.py")
        d["python"] = os.environ["PYTHON"]
        d["architecture"] = "lsnn"
        d["train"] = make_train(lsnn, ["data_dir"])
        return d

    @staticmethod
    def get_flags():
        parser = argparse.ArgumentParser()
        for key, value in {**lsnn.default_hyperparameters(), "data_dir": ""}.items():
            if type(value) is bool:
                parser.add_argument("-" + key, action="store_true")
            else:
                parser.add_argument("-" + key, type=type(value), default=value)
        parser.add_argument("-session_id", type=int, default=0)
        flags = parser.parse_args()
        if flags.session_id == 0:
            flags.session_id = random.randint(1000000000, 9999999999)
        return flags

    @staticmethod
    def loader(sid, table, cache_dir):
        data = json.load(open(os.path.join(HERE, "Resources", f"{sid}.json")))
        data["network"] = Network(data["seed"])
        data["theta"] = {"W": [data["seed"] + 1.0, 2.0], "b": [0.5]}
        data["lsnn_session_id"] = sid
        return data

    @staticmethod
    def checker(sid, table, cache_dir):
        try:
            data = lsnn.loader(sid, table, cache_dir)
        except Exception as er:
            return False
        return len(data["training_accuracies"]) >= 2


class Network:
    """Something that no store could keep."""

    def __init__(self, seed):
        self.seed = seed
        self.lock = open(os.devnull)
