"""What each key of a point may be, so that a setting that cannot be is one line before the training begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

from .. import UsageError, get

Point = Mapping[str, Any]
Rule = tuple[str, Callable[[Any], bool]]  # in words, and as a test


def is_number(value: Any) -> bool:
    """A finite number, which True is not.

    >>> is_number(2), is_number(True), is_number("1e-3"), is_number(float("nan"))
    (True, False, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def is_whole(value: Any) -> bool:
    return is_number(value) and isinstance(value, Integral)


def whole(least: int) -> Rule:
    return f"a whole number, {least} or more", lambda value: is_whole(value) and value >= least


def listed(rule: Rule) -> Rule:
    words, holds = rule
    return f"a list, each {words}", lambda value: isinstance(value, (list, tuple)) and all(map(holds, value))


SIZE: Rule = ("a number, 0 or more", lambda value: is_number(value) and value >= 0)
POSITIVE: Rule = ("a number above 0", lambda value: is_number(value) and value > 0)
PART: Rule = ("a number, 0 or more and below 1", lambda value: is_number(value) and 0 <= value < 1)
SWITCH: Rule = ("True or False", lambda value: isinstance(value, bool))
COUNT, FROM_ONE = whole(0), whole(1)
RULES: dict[str, Rule] = {
    **dict.fromkeys(("batch_size", "torch_threads", "n_hidden", "n_blocks", "width", "kernel_size"), FROM_ONE),
    **dict.fromkeys(("nb_iter", "amp_steps", "abcd_L", "esgd_L"), FROM_ONE),
    **dict.fromkeys(("n_attack_steps", "warmup", "augmentation"), COUNT),
    **dict.fromkeys(("beta_robustness", "noisy_forward_std", "reg", "eta_train", "clipping_alpha"), SIZE),
    **dict.fromkeys(("attack_size_mismatch", "attack_size_constant", "eps_pga", "amp_eps"), SIZE),
    **dict.fromkeys(("initial_std_mismatch", "initial_std_constant"), SIZE),
    **dict.fromkeys(("dropout_prob", "validation_fraction"), PART),
    **dict.fromkeys(("clamp", "treat_as_constant", "awp", "awp_perturb_input", "amp", "sam", "sam_adaptive"), SWITCH),
    "batch_standardize": SWITCH,
    "seed": ("a whole number", is_whole),
    "n_epochs": listed(COUNT),
    "learning_rate": listed(POSITIVE),
    "channels": listed(FROM_ONE),
    "hidden": listed(FROM_ONE),
    "training_samples": (f"None, or {FROM_ONE[0]}", lambda value: value is None or FROM_ONE[1](value)),
    "checkpoint": ('"final" or "best"', lambda value: value in ("final", "best")),
}


def check(point: Point) -> None:
    """Raise UsageError for a setting that cannot be.

    >>> check({"batch_size": 0})
    Traceback (most recent call last):
    gridrun.errors.UsageError: batch_size=0: want a whole number, 1 or more
    """
    for key, (words, holds) in RULES.items():
        if key in point and not holds(value := get(point, key)):
            raise UsageError(f"{key}={value!r}: want {words}")
    if get(point, "checkpoint", "final") == "best" and not get(point, "validation_fraction", 0.0):
        raise UsageError('checkpoint="best" needs validation samples: set validation_fraction above 0')
    if str(device := get(point, "device", "cpu")).startswith("cuda"):
        _check_gpu(device)


def _check_gpu(device: Any) -> None:
    import torch

    if not torch.cuda.is_available():
        raise UsageError(f"device={device!r}: torch finds no GPU here; device='cpu' is the default")
