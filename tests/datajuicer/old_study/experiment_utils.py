# ruff: noqa
import numpy as np

from datajuicer import cachable

CALLS = []


@cachable(dependencies=["model:{architecture}_session_id", "model:architecture", "n_iterations", "mm_level"])
def get_mismatch_list(n_iterations, model, mm_level, data_dir):
    CALLS.append((model["network"].seed, float(mm_level)))
    base = 0.9 + model["beta_robustness"] * (mm_level > 0) * 0.1
    return [base - mm_level / 2 - i / 100 for i in range(n_iterations)]


@cachable(dependencies=["model:{architecture}_session_id", "attack_size"])
def get_worst_case(model, attack_size):
    return 0.9 - attack_size, 0.1 + attack_size  # accuracy and loss


@cachable(dependencies=["model:{architecture}_session_id", "num_steps"])
def get_landscape(model, num_steps):
    CALLS.append("landscape")
    return {"alpha": np.linspace(-1, 1, num_steps), "loss": np.ones((2, num_steps)) * model["theta"]["W"][0]}


@cachable()
def nothing(x):
    CALLS.append("nothing")


def get_voltage(model):
    model["V"] = model["theta"]["W"][0] * 10
    return model


def make_summary(d):
    d["summary"] = sum(d["theta"]["W"])
    return d
